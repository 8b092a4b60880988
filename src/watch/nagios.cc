#include "watch/nagios.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "watch/dialogue.h"

namespace pier::watch {
namespace {

constexpr std::array<std::string_view, 4> words{"OK", "WARNING", "CRITICAL", "UNKNOWN"};
constexpr std::size_t line_octets_max = 400;  // of the part for people

double seconds(std::chrono::microseconds time) {
    return std::chrono::duration<double>(time).count();
}

// '|' begins the performance data, and a line end ends the answer.
std::string clean(std::string text) {
    std::ranges::replace(text, '|', '/');
    return shown(text, line_octets_max);
}

int code_of(std::optional<Severity> worst) {
    if (worst == Severity::critical) return nagios::critical;
    return worst == Severity::warning ? nagios::warning : nagios::ok;
}

// A label has no quote and no '='.
std::string label(std::string text) {
    std::ranges::replace_if(
        text, [](char c) { return c == '\'' || c == '=' || c == '|'; }, '_');
    return shown(text);
}

void add_phases(std::string& data, const std::string& prefix, const std::vector<Phase>& phases,
                const Rules& rules) {
    for (const Phase& phase : phases)
        data += fmt::format(" '{}'={:.6f}s;{:.3f};{:.3f};0", label(prefix + phase.name), seconds(phase.time),
                            seconds(rules.phase_warning), seconds(rules.phase_critical));
}

struct Trouble {
    Severity severity{};
    std::string text;
};

void gather(std::vector<Trouble>& troubles, const std::string& whose, const std::vector<Finding>& findings) {
    for (const Finding& one : findings) {
        if (one.severity == Severity::note) continue;
        troubles.push_back({one.severity, fmt::format("{}: {}{}{}", whose, one.what,
                                                      one.evidence.empty() ? "" : ": ", one.evidence)});
    }
}

std::string summary(const std::vector<Probe>& probes, const std::vector<Canary>& canaries,
                    std::vector<Trouble> troubles) {
    std::ranges::stable_sort(troubles, std::ranges::greater(), &Trouble::severity);
    std::string text;
    for (const Trouble& one : troubles)
        text += (text.empty() ? "" : "; ") + one.text;
    if (!text.empty()) return text;
    for (const Probe& probe : probes) {
        text += fmt::format("{}{} {} in {:.3f} s", text.empty() ? "" : "; ", probe.target.text(),
                            to_string(probe.target.protocol), seconds(probe.total));
        if (probe.tls && !probe.tls->chain.empty())
            text += fmt::format(", {}, certificate for {} days", probe.tls->version,
                                days_between(probe.begun, probe.tls->chain.front().not_after));
    }
    for (const Canary& canary : canaries)
        text += fmt::format("{}canary came by {}", text.empty() ? "" : "; ", canary.fetched_by);
    return text;
}

}  // namespace

NagiosAnswer nagios_answer(const std::vector<Probe>& probes, const std::vector<Canary>& canaries,
                           const Rules& rules) {
    if (probes.empty() && canaries.empty()) return nagios_unknown("there is nothing to probe");
    int code = nagios::ok;
    std::vector<Trouble> troubles;
    std::string data;
    for (const Probe& probe : probes) {
        code = std::max(code, code_of(probe.worst()));
        gather(troubles, probe.target.text(), probe.findings);
        const std::string prefix = probes.size() > 1 ? probe.target.text() + " " : "";
        add_phases(data, prefix, probe.phases, rules);
        data += fmt::format(" '{}'={:.6f}s;;;0", label(prefix + "total"), seconds(probe.total));
        if (probe.tls && !probe.tls->chain.empty())
            // A range "@0:30" would alert inside it; "31:" alerts below: the guidelines' way to say "too
            // few".
            data += fmt::format(" '{}'={};{}:;{}:", label(prefix + "certificate_days"),
                                days_between(probe.begun, probe.tls->chain.front().not_after),
                                rules.certificate_days_warning + 1, rules.certificate_days_critical + 1);
        if (probe.seen.messages)
            data += fmt::format(" '{}'={};;;0", label(prefix + "messages"), *probe.seen.messages);
    }
    for (const Canary& canary : canaries) {
        code = std::max(code, code_of(canary.worst()));
        gather(troubles, "canary", canary.findings);
        for (const Phase& phase : canary.phases)
            data += fmt::format(" '{}'={:.6f}s;;;0", label("canary " + phase.name), seconds(phase.time));
    }
    const std::string text = clean(summary(probes, canaries, std::move(troubles)));
    return {code, fmt::format("MAIL {} - {} |{}", words.at(static_cast<std::size_t>(code)), text, data)};
}

NagiosAnswer nagios_unknown(std::string_view why) {
    return {nagios::unknown, fmt::format("MAIL UNKNOWN - {}", clean(std::string(why)))};
}

}  // namespace pier::watch
