#include "watch/observed.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "watch/figures.h"
#include "watch/findings.h"

namespace pier::watch {
namespace {

// What a look must have got to for a finding of that code to be there, or to be known not to be there.
enum class Needs { greeting, handshake, tls, end, login, thorough, thorough_tls };

struct Code {
    std::string_view code;
    Needs needs{};
    unsigned looks = 1;
    std::string_view well;  // behind the target and a colon
};

constexpr unsigned doubt = looks_of_doubt;

constexpr std::array<Code, 27> codes{{
    {"greeting_failed", Needs::greeting, doubt, "the greeting comes as it should"},
    {"tls_not_spoken", Needs::handshake, doubt, "the port begins with TLS"},
    {"tls_failed", Needs::handshake, doubt, "the TLS handshake succeeds"},
    {"dialogue_failed", Needs::end, doubt, "the dialogue comes to its end"},
    {"certificate_not_yet_valid", Needs::tls, 1, "the certificate is valid"},
    {"certificate_wrong_name", Needs::tls, 1, "the certificate is for the right name"},
    {"certificate_self_signed", Needs::tls, 1, "the certificate is an authority's"},
    {"authority_unknown", Needs::tls, 1, "the certificate's authority is trusted"},
    {"chain_incomplete", Needs::tls, 1, "the certificate's chain is complete"},
    {"certificate_untrusted", Needs::tls, 1, "the certificate is trusted"},
    {"weak_key", Needs::tls, 1, "the certificates' keys are strong enough"},
    {"weak_signature", Needs::tls, 1, "the certificates' signatures are strong enough"},
    {"capability_missing", Needs::end, 1, "no capability is missing"},
    {"no_login_offered", Needs::end, 1, "logins are offered inside TLS"},
    {"slow", Needs::end, doubt, "no phase is slow"},
    {"version_told", Needs::end, 1, "no version is told"},
    {"login_refused", Needs::login, doubt, "the login succeeds"},
    {"login_not_tried", Needs::login, 1, "the login can be tried"},
    {"no_tls", Needs::end, 1, "TLS is offered"},
    {"clear_login", Needs::end, 1, "no password is taken in clear"},
    {"open_relay", Needs::thorough, 1, "nothing is relayed for strangers"},
    {"names_told", Needs::thorough, 1, "VRFY tells no names"},
    {"old_tls", Needs::thorough_tls, 1, "no old TLS is taken"},
    {"weak_cipher", Needs::thorough_tls, 1, "no weak cipher is taken"},
    {"command_injection", Needs::thorough_tls, 1, "no command slips in before TLS"},
    {"alpn_taken", Needs::thorough_tls, 1, "no other protocol is agreed to"},
    // Under one key with `certificate_expires`, see below.
    {"certificate_expired", Needs::tls, 1, ""},
}};

bool is_of_thorough_looks(const Code& one) {
    return one.needs == Needs::thorough || one.needs == Needs::thorough_tls;
}

bool is_about_days(std::string_view code) {
    return code == "certificate_expired" || code == "certificate_expires";
}

bool is_about_reaching(std::string_view code) {
    return code == "unreachable" || code == "name_unknown";
}

bool is_met(Needs needs, const Probe& probe, const LookedFor& how) {
    const bool ended = !probe.failure;
    switch (needs) {
        case Needs::greeting:
            return ended || !probe.seen.greeting.empty();
        case Needs::handshake:
            return ended || probe.tls.has_value();
        case Needs::tls:
            return probe.tls.has_value();
        case Needs::end:
            return ended;
        case Needs::login:
            return ended && how.login;
        case Needs::thorough:
            return ended;
        case Needs::thorough_tls:
            return ended && probe.tls.has_value();
    }
    return false;
}

// The first, which is the worst, whose code `is_it` takes; and how many more there are.
template <class IsIt>
std::pair<const Finding*, std::size_t> worst_of(const std::vector<Finding>& findings, IsIt is_it) {
    const Finding* worst = nullptr;
    std::size_t more = 0;
    for (const Finding& one : findings) {
        if (!is_it(one.code)) continue;
        if (worst)
            ++more;
        else
            worst = &one;
    }
    return {worst, more};
}

class Telling {
  public:
    Telling(std::string thing, std::string shown, std::string group, Time at)
        : thing_(std::move(thing)), shown_(std::move(shown)), group_(std::move(group)), at_(at) {}

    void well(std::string_view what, std::string_view text, unsigned looks) {
        Observation& one = add(what, looks);
        one.what = fmt::format("{}: {}", shown_, text);
    }
    Observation& ill(std::string_view what, const Finding& finding, std::size_t more, unsigned looks) {
        Observation& one = add(what, looks);
        one.severity = finding.severity;
        const bool named = finding.what.find(shown_) != std::string::npos;
        one.what = named ? finding.what : fmt::format("{}: {}", shown_, finding.what);
        one.evidence = finding.evidence;
        if (more > 0) one.evidence += fmt::format("; and {} more of that kind", more);
        one.step = finding.step;
        return one;
    }
    // Either, by the findings whose code `is_it` takes. `may_be_well`: it was looked at.
    template <class IsIt>
    void tell(std::string_view what, const std::vector<Finding>& findings, IsIt is_it, bool may_be_well,
              std::string_view text, unsigned looks) {
        const auto [worst, more] = worst_of(findings, is_it);
        if (worst)
            ill(what, *worst, more, looks);
        else if (may_be_well)
            well(what, text, looks);
    }
    std::vector<Observation> take() { return std::move(all_); }

  private:
    Observation& add(std::string_view what, unsigned looks) {
        Observation& one = all_.emplace_back();
        one.key = fmt::format("{}.{}", thing_, what);
        one.group = group_;
        one.looks = looks;
        one.at = at_;
        return one;
    }

    const std::string thing_, shown_, group_;
    const Time at_;
    std::vector<Observation> all_;
};

void tell_latency(Telling& telling, double seconds, const LookedFor& how) {
    if (!how.usual_s) return;
    const double limit = unusual_from(*how.usual_s, how.usual);
    const std::string_view key = "latency";
    if (seconds < limit) return telling.well(key, "it is as quick as usual", how.usual.looks);
    Finding finding;
    finding.severity = Severity::warning;
    finding.what = "It is slower than usual";
    finding.evidence = fmt::format(
        "a look took {:.3f} s; usual are {:.3f} s (the median of the last day), and "
        "from {:.3f} s on it is told",
        seconds, *how.usual_s, limit);
    finding.step = "See which phase it is: pier probe --history.";
    telling.ill(key, finding, 0, how.usual.looks);
}

}  // namespace

std::vector<std::string_view> finding_codes() {
    std::vector<std::string_view> all{"unreachable", "name_unknown", "certificate_expires"};
    for (const Code& one : codes)
        all.push_back(one.code);
    return all;
}

std::vector<Observation> observations_of(const Probe& probe, const LookedFor& how) {
    const std::string shown = probe.target.text();
    Telling telling("port." + shown, shown, how.group, probe.begun);
    const bool reached = probe.reachable();
    telling.tell("reachable", probe.findings, is_about_reaching, reached, "it is reached", looks_of_doubt);
    if (!reached) return telling.take();
    std::string days = "the certificate is good for long enough";
    if (probe.tls && !probe.tls->chain.empty())
        days = fmt::format("the certificate is good for {} days",
                           days_between(probe.begun, probe.tls->chain.front().not_after));
    telling.tell("certificate", probe.findings, is_about_days, probe.tls.has_value(), days, 1);
    for (const Code& one : codes) {
        const bool asked = how.thorough || !is_of_thorough_looks(one);
        if (is_about_days(one.code) || !asked) continue;
        telling.tell(
            one.code, probe.findings, [&](std::string_view code) { return code == one.code; },
            is_met(one.needs, probe, how), one.well, one.looks);
    }
    if (!probe.failure) tell_latency(telling, comparable_seconds(probe), how);
    return telling.take();
}

std::vector<Observation> observations_of(const Canary& canary, const std::string& name,
                                         const std::string& group) {
    Telling telling("canary." + name, "canary " + name, group, canary.begun);
    const auto tell = [&](std::string_view what, std::string_view code, bool looked, std::string_view well,
                          unsigned looks) {
        telling.tell(
            what, canary.findings, [&](std::string_view one) { return one == code; }, looked, well, looks);
    };
    tell("not_sent", "canary_not_sent", true, "it is taken", looks_of_doubt);
    // It was waited for long enough: one look is proof.
    tell("lost", "canary_lost", canary.sent, "it comes", 1);
    tell("changed", "canary_changed", canary.came, "it comes as it was sent", 1);
    tell("left", "canary_left", canary.came, "it can be deleted", 1);
    tell("slow", "slow", canary.came, "no part of its way is slow", looks_of_doubt);
    return telling.take();
}

bool is_doubtful(const std::vector<Observation>& observations) {
    return std::ranges::any_of(observations, [](const Observation& one) {
        return one.severity && *one.severity != Severity::note && one.looks == looks_of_doubt;
    });
}

bool is_thorough(const Finding& finding) {
    const auto known = std::ranges::find(codes, finding.code, &Code::code);
    return known != codes.end() && is_of_thorough_looks(*known);
}

bool has_thorough_finding(const Probe& probe) {
    return std::ranges::any_of(probe.findings, [](const Finding& finding) {
        return is_thorough(finding) && finding.severity != Severity::note;
    });
}

}  // namespace pier::watch
