#include "watch/findings.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "watch/dialogue.h"
#include "watch/judgement.h"
#include "wire/ascii.h"

namespace pier::watch {
namespace {

using Step = std::string;

bool is_for_users(Protocol protocol) {
    return protocol == Protocol::pop3 || protocol == Protocol::imap || protocol == Protocol::submission;
}

std::string_view starttls_word(Protocol protocol) {
    return protocol == Protocol::pop3 ? "STLS" : "STARTTLS";
}

// ---- it did not come to its end ----

void judge_failure(Judgement& findings, const Probe& probe) {
    const Failure& failure = *probe.failure;
    const std::string& phase = failure.phase;
    if (phase == "resolve")
        return findings.add(Severity::critical, "name_unknown",
                            fmt::format("{} has no address", probe.target.host), failure.text,
                            "Look at the name's A and AAAA records, and at this machine's resolver.");
    if (phase == "connect")
        return findings.add(
            Severity::critical, "unreachable", fmt::format("{} is not reached", probe.target.text()),
            failure.text,
            "Is the server running and listening on that port and address? Then look at the firewalls "
            "between here and there.");
    if (phase == "tls" && failure.text.find("wrong version number") != std::string::npos)
        return findings.add(
            Severity::critical, "tls_not_spoken", "The port does not begin with TLS", failure.text,
            "Probe it with --tls starttls or none; or give the server's listener TLS from the first "
            "octet on.");
    if (phase == "tls")
        return findings.add(
            Severity::critical, "tls_failed", "The TLS handshake failed", failure.text,
            "Look in the server's log at that moment: it may have no certificate, or want one of the "
            "client.");
    if (phase == "greeting")
        return findings.add(
            Severity::critical, "greeting_failed",
            fmt::format("There was no greeting of a {} server", to_string(probe.target.protocol)),
            failure.text,
            "If it says nothing, it may wait for TLS (--tls implicit) or be overloaded; if it says "
            "something else, another program has the port.");
    findings.add(Severity::critical, "dialogue_failed",
                 fmt::format("The dialogue ended in the phase {}", phase), failure.text,
                 "Look in the server's log at that moment.");
}

// ---- TLS or not ----

bool offers_clear_login(const Probe& probe) {
    const auto& seen = probe.seen;
    if (!seen.capabilities) return seen.clear_user_taken.value_or(false);
    const auto& list = *seen.capabilities;
    const bool mechanism = has_mechanism(list, "PLAIN") || has_mechanism(list, "LOGIN");
    if (probe.target.protocol == Protocol::pop3) return seen.clear_user_taken.value_or(false) || mechanism;
    if (probe.target.protocol == Protocol::imap) return !has_capability(list, "LOGINDISABLED") || mechanism;
    return mechanism;
}

void judge_clear(Judgement& findings, const Probe& probe, const Rules& rules) {
    const auto& seen = probe.seen;
    const Protocol protocol = probe.target.protocol;
    if (!seen.starttls_offered || protocol == Protocol::lmtp) return;
    const bool login = offers_clear_login(probe);
    const bool lenient = probe.near && !rules.stranger;
    if (!*seen.starttls_offered) {
        const Severity severity =
            is_for_users(protocol) && login && !lenient ? Severity::critical : Severity::warning;
        findings.add(
            severity, "no_tls", "There is no TLS on this port",
            fmt::format("{} is not offered", starttls_word(protocol)),
            is_for_users(protocol)
                ? "Give the server a certificate and have it demand TLS before the login; what users send "
                  "now, passwords too, can be read on the way."
                : "Give the server a certificate: mail from other servers comes in clear now.");
    }
    if (!login) return;
    std::string evidence =
        seen.clear_user_taken.value_or(false)
            ? "USER is accepted without TLS"
            : fmt::format(
                  "without TLS the server offers: {}",
                  shown(fmt::format(
                      "{}", fmt::join(seen.capabilities.value_or(std::vector<std::string>()), ", "))));
    if (lenient)
        evidence += "; but it was asked from its own machine or network, which many servers treat better";
    findings.add(
        lenient ? Severity::note : Severity::critical, "clear_login", "Passwords are taken in clear",
        std::move(evidence),
        lenient ? "Ask again from outside, or with --stranger if the server treats this machine as any other."
                : "Have the server refuse logins before TLS (Pier: clear_login = \"never\"; Dovecot: "
                  "disable_plaintext_auth = yes; Postfix: smtpd_tls_auth_only = yes; Courier: "
                  "POP3_TLS_REQUIRED=1, IMAP_TLS_REQUIRED=1; Exim: auth_advertise_hosts only with TLS).");
}

// ---- what it can ----

struct Wanted {
    Protocol protocol;
    std::string_view capability;
    Severity severity;
    std::string_view what_for;
};
constexpr std::array<Wanted, 9> wanted{{
    {Protocol::pop3, "UIDL", Severity::warning,
     "clients that leave mail on the server cannot know what is new"},
    {Protocol::pop3, "TOP", Severity::warning, "clients cannot look at headers before they fetch"},
    {Protocol::pop3, "PIPELINING", Severity::note, "clients far away wait for each answer"},
    {Protocol::imap, "IDLE", Severity::note, "clients poll for new mail"},
    {Protocol::imap, "UIDPLUS", Severity::note, "clients may expunge what others have marked"},
    {Protocol::smtp, "PIPELINING", Severity::note, "senders far away wait for each answer"},
    {Protocol::smtp, "SIZE", Severity::note, "too large mail is refused only after it was sent"},
    {Protocol::smtp, "8BITMIME", Severity::note, "mail is recoded on the way, which breaks signatures"},
    {Protocol::submission, "SIZE", Severity::note, "too large mail is refused only after it was sent"},
}};

void judge_capabilities(Judgement& findings, const Probe& probe) {
    const auto& seen = probe.seen;
    const bool secured = probe.tls.has_value();
    const bool wants_tls_first = probe.target.tls == TlsMode::starttls;
    const auto& list = wants_tls_first && secured ? seen.capabilities_tls : seen.capabilities;
    const Protocol protocol = probe.target.protocol;
    if (!list) {
        if (protocol == Protocol::pop3)
            findings.add(Severity::warning, "capability_missing", "The server does not know CAPA", "",
                         "Clients guess what it can do; use a server or proxy that has RFC 2449.");
        return;
    }
    for (const Wanted& one : wanted) {
        // Many IMAP servers tell all that they can only behind the login.
        const auto& told = protocol == Protocol::imap ? seen.capabilities_login : list;
        if (one.protocol != protocol || !told || has_capability(*told, one.capability)) continue;
        findings.add(
            one.severity, "capability_missing", fmt::format("{} is missing", one.capability),
            shown(fmt::format("it offers: {}", fmt::join(*told, ", "))),
            fmt::format("Without it {}; look whether the server or a proxy in front has it switched off.",
                        one.what_for));
    }
    if (protocol == Protocol::imap && !has_capability(*list, "IMAP4rev1") &&
        !has_capability(*list, "IMAP4rev2"))
        findings.add(Severity::warning, "capability_missing", "Neither IMAP4rev1 nor IMAP4rev2 is offered",
                     "", "Look at what really answers on this port.");
    if (!secured) return;
    const bool can_log_in = protocol == Protocol::pop3
                                ? has_capability(*list, "USER") || has_capability(*list, "SASL")
                            : protocol == Protocol::imap
                                ? !has_capability(*list, "LOGINDISABLED") || has_capability(*list, "AUTH")
                            : protocol == Protocol::submission ? has_capability(*list, "AUTH")
                                                               : true;
    if (!can_log_in)
        findings.add(Severity::warning, "no_login_offered", "Inside TLS the server offers no way to log in",
                     shown(fmt::format("it offers: {}", fmt::join(*list, ", "))),
                     "Switch authentication on for this port, or let the firewall close it.");
}

// ---- what it gives away ----

// "Exim 4.96", "Postfix/3.7": a product's name and, not far behind, a version.
std::string disclosed_version(std::string_view text) {
    constexpr std::array<std::string_view, 14> products{
        "Exim", "Postfix",  "Sendmail", "Dovecot", "Courier",     "Cyrus",  "qmail",
        "Pier", "Exchange", "MDaemon",  "Zimbra",  "hMailServer", "Haraka", "MailEnable"};
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    constexpr std::size_t near_octets = 12;
    for (const std::string_view product : products) {
        for (std::size_t at = 0; at + product.size() < text.size(); ++at) {
            if (!wire::ascii_equal(text.substr(at, product.size()), product)) continue;
            const std::size_t end = std::min(text.size(), at + product.size() + near_octets);
            for (std::size_t i = at + product.size(); i + 2 < end + 2 && i + 2 < text.size(); ++i) {
                if (text[i + 1] == '.' && is_digit(text[i]) && is_digit(text[i + 2]))
                    return std::string(text.substr(at, text.find_first_of(" ;,)", i) - at));
            }
        }
    }
    return {};
}

void judge_disclosure(Judgement& findings, const Probe& probe) {
    std::string version = disclosed_version(probe.seen.greeting);
    for (const auto* list : {&probe.seen.capabilities, &probe.seen.capabilities_tls}) {
        for (const std::string& one : list->value_or(std::vector<std::string>())) {
            if (version.empty()) version = disclosed_version(one);
        }
    }
    if (!version.empty())
        findings.add(
            Severity::note, "version_told", "The server tells its version to everybody", shown(version),
            "Leave it out of the greeting; who looks for servers with a known hole need not look far.");
    if (probe.seen.verify_tells_names.value_or(false))
        findings.add(Severity::note, "names_told", "VRFY tells which names exist",
                     "postmaster and an invented name are answered in different ways",
                     "Switch VRFY off (Postfix: disable_vrfy_command = yes), or answer 252 to all.");
}

void judge_relay(Judgement& findings, const Probe& probe, const Rules& rules) {
    if (!probe.seen.relays) return;
    const bool lenient = probe.near && !rules.stranger;
    findings.add(
        lenient ? Severity::note : Severity::critical, "open_relay",
        lenient ? "It takes mail from this machine for anybody"
                : "It is an open relay: it takes mail from anybody for anybody",
        fmt::format("RCPT of a foreign domain, from a foreign sender, without a login: {}",
                    probe.seen.relay_reply.value_or("")),
        lenient
            ? "Servers trust their own machine and network; ask again from outside, or with --stranger if it "
              "should not trust this machine."
            : "Let it relay only for who has logged in and for its own networks (Postfix: mynetworks, "
              "smtpd_relay_restrictions); spammers find it within days.");
}

void judge_login(Judgement& findings, const Probe& probe) {
    const auto& seen = probe.seen;
    if (!seen.login_refusal.empty())
        findings.add(Severity::critical, "login_refused", "The login was refused", seen.login_refusal,
                     "Try the same name and password in a mail program; then look in the server's log why.");
    if (!seen.login_held_back.empty())
        findings.add(Severity::warning, "login_not_tried", "The login was not tried", seen.login_held_back,
                     "The password would be exposed; mend the finding about TLS or the certificate, or say "
                     "--insecure.");
}

std::string_view phase_words(std::string_view name) {
    return name == "connect" ? "the connection" : name;
}

void judge_times(Judgement& findings, const Probe& probe, const Rules& rules) {
    for (const Phase& phase : probe.phases) {
        if (phase.time < rules.phase_warning) continue;
        if (probe.failure && probe.failure->phase == phase.name) continue;  // it has its own finding
        const bool critical = phase.time >= rules.phase_critical;
        const auto limit = critical ? rules.phase_critical : rules.phase_warning;
        findings.add(critical ? Severity::critical : Severity::warning, "slow",
                     fmt::format("{} is slow", phase_words(phase.name)),
                     fmt::format("{:.1f} s; the threshold is {:.1f} s",
                                 std::chrono::duration<double>(phase.time).count(),
                                 std::chrono::duration<double>(limit).count()),
                     phase.name == "greeting" || phase.name == "resolve"
                         ? "Slow greetings come mostly from name lookups of the client (reverse DNS, block "
                           "lists) or from a "
                           "delay that is meant; look there first."
                         : "Look at the server's load, disk and back ends at that time.");
    }
}

}  // namespace

void judge(Probe& probe, const Rules& rules) {
    Judgement findings;
    if (probe.failure) judge_failure(findings, probe);
    if (!probe.seen.greeting.empty() || probe.seen.capabilities) {
        judge_clear(findings, probe, rules);
        if (!probe.failure) judge_capabilities(findings, probe);
        judge_disclosure(findings, probe);
        judge_relay(findings, probe, rules);
        judge_login(findings, probe);
    }
    judge_tls(findings, probe, rules);
    judge_times(findings, probe, rules);
    probe.findings = findings.take();
}

void judge(Canary& canary, const Rules& rules) {
    Judgement findings;
    const std::string way = fmt::format("{} to {}", canary.sent_by, canary.fetched_by);
    if (!canary.sent)
        findings.add(Severity::critical, "canary_not_sent", "The canary was not taken",
                     canary.failure ? fmt::format("{}: {}", canary.failure->phase, canary.failure->text) : "",
                     "Mail for that address is refused: look at what the server said, and at its log.");
    else if (!canary.came)
        findings.add(
            Severity::critical, "canary_lost", "The canary did not come in time",
            canary.failure ? canary.failure->text : way,
            "The mail was taken and is not in the maildrop: look at the server's queue, filters and disk.");
    else if (!canary.unchanged)
        findings.add(
            Severity::warning, "canary_changed", "The canary came with another body than was sent", way,
            "Something on the way rewrites mail (a footer, a filter, a recoding); signatures break by it.");
    if (canary.came && !canary.deleted)
        findings.add(
            Severity::warning, "canary_left", "The canary could not be deleted", way,
            "Look whether the maildrop is locked or read-only; what is left is deleted by the next run.");
    for (const Phase& phase : canary.phases) {
        if (phase.name == "wait" || phase.time < rules.phase_warning) continue;
        findings.add(phase.time >= rules.phase_critical ? Severity::critical : Severity::warning, "slow",
                     fmt::format("{} of the canary is slow", phase.name),
                     fmt::format("{:.1f} s", std::chrono::duration<double>(phase.time).count()),
                     "Look at the server's load, disk and back ends at that time.");
    }
    canary.findings = findings.take();
}

int days_between(Time now, Time then) {
    return static_cast<int>(std::chrono::floor<std::chrono::days>(then - now).count());
}

}  // namespace pier::watch
