#include "main/probe_text.h"

#include <fmt/format.h>

#include "main/commands/commands.h"
#include "main/quantity.h"
#include "watch/findings.h"
#include "wire/ascii.h"

namespace pier::program {
namespace {

using watch::Finding;
using watch::Phase;
using watch::Probe;
using watch::Severity;

constexpr std::size_t label_columns = 13, line_columns = 100;

std::string time_text(std::chrono::microseconds time) {
    if (time < std::chrono::milliseconds(10))
        return fmt::format("{:.1f} ms", static_cast<double>(time.count()) / 1e3);
    if (time < std::chrono::seconds(10)) return fmt::format("{} ms", time.count() / 1000);
    return fmt::format("{:.1f} s", static_cast<double>(time.count()) / 1e6);
}

// Words in lines of a bearable width; all but the first are indented.
std::string folded(std::string_view text, std::size_t indent) {
    std::string out;
    std::size_t column = indent;
    while (!text.empty()) {
        const std::string_view word = text.substr(0, text.find(' '));
        if (column > indent && column + word.size() > line_columns) {
            out += "\n" + std::string(indent, ' ');
            column = indent;
        } else if (column > indent) {
            out += ' ';
        }
        out += word;
        column += word.size() + 1;
        text.remove_prefix(std::min(text.size(), word.size() + 1));
    }
    return out;
}

std::string row(std::string_view label, std::string_view text) {
    return fmt::format("  {:<{}}{}\n", label, label_columns, folded(text, label_columns + 2));
}

std::string mode_text(const Probe& probe) {
    if (probe.target.tls == watch::TlsMode::implicit) return "TLS";
    if (probe.tls) return probe.target.protocol == watch::Protocol::pop3 ? "STLS" : "STARTTLS";
    return "in clear";
}

std::string days_text(const Probe& probe) {
    if (!probe.tls || probe.tls->chain.empty()) return "-";
    return fmt::format("{} days", watch::days_between(probe.begun, probe.tls->chain.front().not_after));
}

std::string verdict(std::optional<Severity> worst) {
    if (!worst || *worst == Severity::note) return "well";
    return *worst == Severity::warning ? "WARNING" : "CRITICAL";
}

std::string finding_text(const std::vector<Finding>& findings) {
    std::string text;
    for (const Finding& one : findings) {
        const std::string word =
            one.severity == Severity::note ? "note" : wire::ascii_upper(to_string(one.severity));
        std::string what = one.what;
        if (!one.evidence.empty()) what += ": " + one.evidence;
        text += row(word, what) + row("", "-> " + one.step);
    }
    return text;
}

std::string phases_text(const std::vector<Phase>& phases, std::chrono::microseconds total) {
    std::string text;
    for (const Phase& phase : phases)
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", phase.name, time_text(phase.time));
    if (total.count() > 0) text += fmt::format("; {} in all", time_text(total));
    return text;
}

std::string certificate_text(const Probe& probe) {
    const watch::Certificate& one = probe.tls->chain.front();
    return fmt::format("{}, from {}, {} {} bits, {}; good until {} ({})",
                       one.names.empty() ? one.subject : fmt::format("{}", fmt::join(one.names, ", ")),
                       one.issuer, one.key_type, one.key_bits, one.signature,
                       to_rfc3339(one.not_after).substr(0, 10), days_text(probe));
}

std::string login_text(const watch::Seen& seen) {
    std::string text = "done";
    if (seen.messages) text += fmt::format("; {} messages", *seen.messages);
    if (seen.maildrop_octets) text += fmt::format(", {}", about_octets(*seen.maildrop_octets));
    if (seen.retrieved_octets)
        text += fmt::format("; one of {} was read", about_octets(*seen.retrieved_octets));
    return text;
}

std::string details_text(const Probe& probe) {
    const watch::Seen& seen = probe.seen;
    std::string text;
    if (!probe.address.empty()) text += row("address", probe.address);
    if (!seen.greeting.empty()) text += row("greeting", seen.greeting);
    const auto& capabilities = seen.capabilities_tls ? seen.capabilities_tls : seen.capabilities;
    if (capabilities) text += row("offers", fmt::format("{}", fmt::join(*capabilities, ", ")));
    if (probe.tls) {
        text += row("TLS", fmt::format("{}, {}{}{}{}", probe.tls->version, probe.tls->cipher,
                                       probe.tls->group.empty() ? "" : ", ", probe.tls->group,
                                       probe.tls->alpn.empty() ? "" : ", ALPN " + probe.tls->alpn));
        if (!probe.tls->chain.empty()) text += row("certificate", certificate_text(probe));
    }
    if (seen.logged_in) text += row("login", login_text(seen));
    text += row("times", phases_text(probe.phases, probe.total));
    return text;
}

std::string canary_text(const watch::Canary& canary) {
    std::string text = fmt::format("canary from {} to {}\n", canary.sent_by, canary.fetched_by);
    std::vector<Phase> parts;
    for (const Phase& phase : canary.phases) {
        if (phase.name.find('.') == std::string::npos) parts.push_back(phase);
    }
    text +=
        row("flight", canary.came ? fmt::format("came{}{}", canary.unchanged ? " unchanged" : ", but changed",
                                                canary.deleted ? ", and was deleted" : "")
                                  : "did not come");
    text += row("times", phases_text(parts, {}));
    return text + finding_text(canary.findings);
}

}  // namespace

std::string probe_text(const std::vector<Probe>& probes, const std::vector<watch::Target>& closed,
                       const std::vector<watch::Canary>& canaries, bool details) {
    std::string text;
    if (probes.size() + closed.size() > 1) {
        std::vector<std::vector<std::string>> rows{
            {"PORT", "SPEAKS", "WITH", "VERSION", "CERTIFICATE", "TIME", "IS"}};
        for (const Probe& probe : probes)
            rows.push_back({probe.target.text(), std::string(to_string(probe.target.protocol)),
                            mode_text(probe), probe.tls ? probe.tls->version : "-", days_text(probe),
                            time_text(probe.total), verdict(probe.worst())});
        for (const watch::Target& one : closed)
            rows.push_back({one.text(), std::string(to_string(one.protocol)), "-", "-", "-", "-", "closed"});
        text += table(rows);
    }
    for (const Probe& probe : probes) {
        const bool shown = details || probes.size() == 1;
        if (!shown && probe.findings.empty()) continue;
        text += fmt::format("{}{} {}, {}: {}\n", text.empty() ? "" : "\n", probe.target.text(),
                            to_string(probe.target.protocol), mode_text(probe), verdict(probe.worst()));
        if (shown) text += details_text(probe);
        text += finding_text(probe.findings);
    }
    for (const watch::Canary& canary : canaries)
        text += (text.empty() ? "" : "\n") + canary_text(canary);
    return text;
}

}  // namespace pier::program
