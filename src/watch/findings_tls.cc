#include <algorithm>

#include <fmt/format.h>

#include "watch/judgement.h"

namespace pier::watch {
namespace {

using Why = TlsFacts::Distrust::Why;

// Servers that bring mail to port 25 do not look at certificates unless DANE or MTA-STS tell them to.
Severity distrust_severity(const Probe& probe) {
    return probe.target.protocol == Protocol::smtp || probe.target.protocol == Protocol::lmtp
               ? Severity::warning
               : Severity::critical;
}

std::string which(const TlsFacts& tls, int depth) {
    if (depth <= 0) return "The certificate";
    if (static_cast<std::size_t>(depth) < tls.chain.size())
        return fmt::format("The certificate of {}", tls.chain[static_cast<std::size_t>(depth)].subject);
    return "The authority's certificate";
}

std::string day(Time time) {
    return to_rfc3339(time).substr(0, 10);
}

void judge_one(Judgement& findings, const Probe& probe, const TlsFacts::Distrust& one) {
    const TlsFacts& tls = *probe.tls;
    const Severity severity = distrust_severity(probe);
    const Certificate* certificate = static_cast<std::size_t>(one.depth) < tls.chain.size()
                                         ? &tls.chain[static_cast<std::size_t>(one.depth)]
                                         : nullptr;
    switch (one.why) {
        case Why::expired:
            return findings.add(
                severity, "certificate_expired", fmt::format("{} has expired", which(tls, one.depth)),
                certificate ? fmt::format("it was good until {}", day(certificate->not_after)) : one.text,
                "Renew it and have the server load it; then look why it was not renewed by itself.");
        case Why::not_yet_valid:
            return findings.add(
                severity, "certificate_not_yet_valid",
                fmt::format("{} is not valid yet", which(tls, one.depth)),
                certificate ? fmt::format("it is good from {} on", to_rfc3339(certificate->not_before))
                            : one.text,
                "Look at the clocks of this machine and of the one that made the certificate.");
        case Why::self_signed:
            return findings.add(
                severity, "certificate_self_signed", "The certificate is self-signed",
                certificate ? certificate->subject : one.text,
                "Get one from an authority (Pier: [acme]); or, if it is meant, name it with --ca-file.");
        case Why::authority_unknown:
            return findings.add(
                severity, "authority_unknown", "The certificate's authority is not trusted here",
                tls.chain.empty() ? one.text : fmt::format("it ends at {}", tls.chain.back().subject),
                "If it is your own authority, name its certificate with --ca-file; users need it too.");
        case Why::chain_incomplete: {
            const std::string issuer = tls.chain.empty() ? "?" : tls.chain.back().issuer;
            return findings.add(
                severity, "chain_incomplete", "The chain does not reach an authority that is trusted here",
                fmt::format("{} certificates were sent; that of {} is missing", tls.chain.size(), issuer),
                "Send the intermediate certificates too (the \"full chain\" file); if it is your own "
                "authority, name its certificate with --ca-file.");
        }
        case Why::other:
            return findings.add(severity, "certificate_untrusted",
                                fmt::format("{} is not trusted", which(tls, one.depth)), one.text,
                                "Look at the certificate with: openssl s_client -showcerts.");
    }
}

void judge_days(Judgement& findings, const Probe& probe, const Rules& rules) {
    for (std::size_t i = 0; i < probe.tls->chain.size(); ++i) {
        const Certificate& one = probe.tls->chain[i];
        const int days = days_between(probe.begun, one.not_after);
        if (one.not_after <= probe.begun || days > rules.certificate_days_warning) continue;
        // A root that is sent along does not count: who trusts it has it.
        if (i > 0 && one.self_signed) continue;
        findings.add(days <= rules.certificate_days_critical ? Severity::critical : Severity::warning,
                     "certificate_expires",
                     fmt::format("{} expires in {} days", which(*probe.tls, static_cast<int>(i)), days),
                     fmt::format("it is good until {}", day(one.not_after)),
                     "Renew it now, and look why it was not renewed by itself.");
    }
}

bool is_weak_signature(const std::string& signature) {
    // OpenSSL's short names: RSA-SHA1, ecdsa-with-SHA1, RSA-MD5 …
    return signature.ends_with("SHA1") || signature.find("MD5") != std::string::npos ||
           signature.find("MD4") != std::string::npos || signature.find("MD2") != std::string::npos;
}

void judge_strength(Judgement& findings, const Probe& probe, const Rules& rules) {
    for (std::size_t i = 0; i < probe.tls->chain.size(); ++i) {
        const Certificate& one = probe.tls->chain[i];
        if (i > 0 && one.self_signed) continue;  // a root is trusted for itself
        const bool rsa = one.key_type.starts_with("RSA") || one.key_type == "DSA";
        const int bits_min = rsa ? rules.rsa_bits_min : one.key_type == "EC" ? rules.ec_bits_min : 0;
        const std::string whose = which(*probe.tls, static_cast<int>(i));
        if (one.key_bits < bits_min)
            findings.add(
                Severity::warning, "weak_key", fmt::format("{} has a weak key", whose),
                fmt::format("{} with {} bits; {} are the least", one.key_type, one.key_bits, bits_min),
                "Make a new key (P-256, or RSA with 2048 bits or more) and a certificate for it.");
        if (is_weak_signature(one.signature))
            findings.add(Severity::warning, "weak_signature", fmt::format("{} has a weak signature", whose),
                         one.signature,
                         "Get a certificate that is signed with SHA-256 or better; clients refuse this one.");
    }
}

void judge_certificate(Judgement& findings, const Probe& probe, const Rules& rules) {
    const TlsFacts& tls = *probe.tls;
    for (const TlsFacts::Distrust& one : tls.distrust)
        judge_one(findings, probe, one);
    if (!tls.chain.empty() && !tls.name_matches) {
        const auto& names = tls.chain.front().names;
        findings.add(
            distrust_severity(probe), "certificate_wrong_name",
            fmt::format("The certificate is not for {}", probe.target.expected_name()),
            names.empty() ? fmt::format("it has no names; its subject is {}", tls.chain.front().subject)
                          : fmt::format("it is for {}", fmt::join(names, ", ")),
            "Get a certificate that has the name users connect to; or probe it by that name (--name).");
    }
    judge_days(findings, probe, rules);
    judge_strength(findings, probe, rules);
}

void judge_limits(Judgement& findings, const Probe& probe) {
    const TlsLimits& limits = probe.limits;
    std::vector<std::string_view> old;
    if (limits.takes_tls_1_0.value_or(false)) old.push_back("TLS 1.0");
    if (limits.takes_tls_1_1.value_or(false)) old.push_back("TLS 1.1");
    // Servers that bring mail may send it in clear as well: old TLS between them is better than none.
    const bool between_servers = probe.target.protocol == Protocol::smtp;
    if (!old.empty())
        findings.add(between_servers ? Severity::note : Severity::warning, "old_tls",
                     fmt::format("It still takes {}", fmt::join(old, " and ")),
                     between_servers ? "between servers the alternative is mail in clear" : "",
                     "Allow TLS 1.2 and 1.3 only (RFC 8996); clients that cannot are from before 2013.");
    const auto weak = [&](const std::optional<std::string>& cipher, Severity severity, std::string what,
                          std::string step) {
        if (cipher && !cipher->empty())
            findings.add(severity, "weak_cipher", std::move(what), *cipher, std::move(step));
    };
    const std::string step =
        "Use the cipher list that your distribution or Mozilla's \"intermediate\" recommends.";
    weak(limits.without_encryption, Severity::critical, "It takes ciphers that encrypt nothing", step);
    weak(limits.anonymous, between_servers ? Severity::note : Severity::warning,
         "It takes ciphers that need no certificate",
         between_servers
             ? "Nothing need be done: who does not look at certificates loses nothing by it."
             : "Leave them out (Postfix: smtpd_tls_mandatory_exclude_ciphers = aNULL; others: !aNULL).");
    weak(limits.broken, Severity::warning, "It takes ciphers that are broken", step);
    weak(limits.no_forward_secrecy, Severity::note, "It takes ciphers without forward secrecy",
         "Leave out RSA key exchange (kRSA): who gets the key later can read what was recorded before.");
    if (limits.takes_injected_command.value_or(false))
        findings.add(Severity::critical, "command_injection",
                     "Commands that are slipped in before TLS are carried out inside it",
                     "a command in the same packet as STARTTLS was answered after the handshake",
                     "Update the server (CVE-2011-0411 and its kin): who sits in between can put commands in "
                     "a user's mouth.");
    if (limits.wrong_alpn == TlsLimits::WrongAlpn::taken)
        findings.add(
            Severity::warning, "alpn_taken", "It agrees to speak HTTP", "ALPN http/1.1 was chosen",
            "Look at what really answers there; a mail server should refuse other protocols (RFC 7301).");
}

}  // namespace

std::vector<Finding> Judgement::take() {
    std::ranges::stable_sort(findings_, std::ranges::greater(), &Finding::severity);
    return std::move(findings_);
}

void judge_tls(Judgement& findings, const Probe& probe, const Rules& rules) {
    if (probe.tls) judge_certificate(findings, probe, rules);
    judge_limits(findings, probe);
}

}  // namespace pier::watch
