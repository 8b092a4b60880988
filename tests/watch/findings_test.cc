#include "watch/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "watch/nagios.h"
#include "watch/probe_json.h"

namespace pier::watch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Why = TlsFacts::Distrust::Why;
using std::chrono::days;

const Time now{std::chrono::seconds(1'800'000'000)};

Certificate certificate(int days_left) {
    Certificate one;
    one.subject = "CN=mail.example.org";
    one.issuer = "CN=Authority";
    one.names = {"mail.example.org"};
    one.not_before = now - days(60);
    one.not_after = now + days(days_left);
    one.key_type = "EC";
    one.key_bits = 256;
    one.signature = "ecdsa-with-SHA256";
    return one;
}

// A port with which all is well.
Probe good(Protocol protocol) {
    Probe probe;
    probe.target = {"mail.example.org", 110, protocol, TlsMode::starttls, ""};
    probe.begun = now;
    probe.address = "192.0.2.1";
    probe.phases = {{"connect", std::chrono::milliseconds(3)}};
    probe.total = std::chrono::milliseconds(30);
    probe.seen.greeting = "ready";
    probe.seen.starttls_offered = true;
    probe.seen.ended_well = true;
    if (protocol == Protocol::pop3) {
        probe.seen.clear_user_taken = false;
        probe.seen.capabilities = {{"TOP", "UIDL", "STLS"}};
        probe.seen.capabilities_tls = {{"TOP", "UIDL", "PIPELINING", "USER"}};
    } else if (protocol == Protocol::imap) {
        probe.seen.capabilities = {{"IMAP4rev1", "STARTTLS", "LOGINDISABLED"}};
        probe.seen.capabilities_tls = {{"IMAP4rev1", "AUTH=PLAIN"}};
        probe.seen.capabilities_login = {{"IMAP4rev1", "IDLE", "UIDPLUS"}};
    } else {
        probe.seen.capabilities = {{"STARTTLS", "PIPELINING"}};
        probe.seen.capabilities_tls = {{"PIPELINING", "SIZE 1000", "8BITMIME", "AUTH PLAIN"}};
    }
    TlsFacts tls;
    tls.version = "TLSv1.3";
    tls.name_matches = true;
    tls.chain = {certificate(60)};
    probe.tls = tls;
    probe.limits = {false, false, "", "", "", "", TlsLimits::WrongAlpn::ignored, false};
    return probe;
}

std::vector<std::string> found(Probe probe, const Rules& rules = {}) {
    judge(probe, rules);
    std::vector<std::string> texts;
    for (const Finding& one : probe.findings) {
        texts.push_back(std::string(to_string(one.severity)) + " " + one.code);
        EXPECT_FALSE(one.what.empty() || one.step.empty()) << one.code;
    }
    return texts;
}

TEST(Findings, NoneWhereAllIsWell) {
    for (const Protocol protocol : {Protocol::pop3, Protocol::imap, Protocol::smtp, Protocol::submission})
        EXPECT_THAT(found(good(protocol)), IsEmpty()) << to_string(protocol);
}

TEST(Findings, WhatEndsTheDialogue) {
    Probe probe;
    probe.target = {"mail.example.org", 110, Protocol::pop3, TlsMode::starttls, ""};
    const auto with = [&](std::string phase, std::string text) {
        probe.failure = Failure{std::move(phase), std::move(text)};
        return found(probe);
    };
    EXPECT_THAT(with("resolve", "unknown"), ElementsAre("critical name_unknown"));
    EXPECT_THAT(with("connect", "refused"), ElementsAre("critical unreachable"));
    EXPECT_THAT(with("greeting", "nothing"), ElementsAre("critical greeting_failed"));
    EXPECT_THAT(with("tls", "start TLS: wrong version number"), ElementsAre("critical tls_not_spoken"));
    EXPECT_THAT(with("tls", "start TLS: handshake failure"), ElementsAre("critical tls_failed"));
    EXPECT_THAT(with("status", "nothing"), ElementsAre("critical dialogue_failed"));
}

TEST(Findings, PasswordsInClear) {
    Probe pop3 = good(Protocol::pop3);
    pop3.seen.clear_user_taken = true;
    EXPECT_THAT(found(pop3), ElementsAre("critical clear_login"));
    // A server trusts its own machine; only who says that it should not is warned.
    pop3.near = true;
    EXPECT_THAT(found(pop3), ElementsAre("note clear_login"));
    Rules stranger;
    stranger.stranger = true;
    EXPECT_THAT(found(pop3, stranger), ElementsAre("critical clear_login"));

    Probe announced = good(Protocol::pop3);
    announced.seen.capabilities->push_back("USER");  // and refused when tried
    EXPECT_THAT(found(announced), IsEmpty());
    announced.seen.capabilities->push_back("SASL SCRAM-SHA-256");
    EXPECT_THAT(found(announced), IsEmpty());
    announced.seen.capabilities->push_back("SASL LOGIN");
    EXPECT_THAT(found(announced), ElementsAre("critical clear_login"));

    Probe imap = good(Protocol::imap);
    imap.seen.capabilities = {{"IMAP4rev1", "STARTTLS"}};
    EXPECT_THAT(found(imap), ElementsAre("critical clear_login"));
    Probe smtp = good(Protocol::submission);
    smtp.seen.capabilities->push_back("AUTH CRAM-MD5 PLAIN");
    EXPECT_THAT(found(smtp), ElementsAre("critical clear_login"));
}

TEST(Findings, NoTls) {
    const auto without = [](Protocol protocol) {
        Probe probe = good(protocol);
        probe.seen.starttls_offered = false;
        probe.seen.capabilities = std::move(probe.seen.capabilities_tls);
        probe.seen.capabilities_tls.reset();
        probe.tls.reset();
        probe.limits = {};
        return probe;
    };
    Probe pop3 = without(Protocol::pop3);
    pop3.seen.clear_user_taken = true;
    EXPECT_THAT(found(pop3), ElementsAre("critical no_tls", "critical clear_login"));
    Probe smtp = without(Protocol::smtp);
    smtp.seen.capabilities->pop_back();  // AUTH
    EXPECT_THAT(found(smtp), ElementsAre("warning no_tls"));
    Probe lmtp = without(Protocol::lmtp);
    EXPECT_THAT(found(lmtp), IsEmpty());
}

TEST(Findings, CertificateDays) {
    const auto left = [](int count) {
        Probe probe = good(Protocol::pop3);
        probe.tls->chain = {certificate(count)};
        return found(probe);
    };
    EXPECT_THAT(left(31), IsEmpty());
    EXPECT_THAT(left(30), ElementsAre("warning certificate_expires"));
    EXPECT_THAT(left(8), ElementsAre("warning certificate_expires"));
    EXPECT_THAT(left(7), ElementsAre("critical certificate_expires"));
    // What is over is told by the verification alone.
    EXPECT_THAT(left(0), IsEmpty());
    EXPECT_EQ(days_between(now, now + days(1)), 1);
    EXPECT_EQ(days_between(now, now + days(1) - std::chrono::seconds(1)), 0);
    EXPECT_EQ(days_between(now, now - std::chrono::seconds(1)), -1);
}

TEST(Findings, DistrustCountsLessBetweenServers) {
    const auto because = [](Protocol protocol, Why why) {
        Probe probe = good(protocol);
        probe.tls->distrust = {{why, 0, "words"}};
        return found(probe);
    };
    const std::vector<std::pair<Why, std::string>> codes{
        {Why::expired, "certificate_expired"},         {Why::not_yet_valid, "certificate_not_yet_valid"},
        {Why::self_signed, "certificate_self_signed"}, {Why::authority_unknown, "authority_unknown"},
        {Why::chain_incomplete, "chain_incomplete"},   {Why::other, "certificate_untrusted"}};
    for (const auto& [why, code] : codes) {
        EXPECT_THAT(because(Protocol::imap, why), ElementsAre("critical " + code));
        EXPECT_THAT(because(Protocol::smtp, why), ElementsAre("warning " + code));
    }
    Probe named = good(Protocol::pop3);
    named.tls->name_matches = false;
    EXPECT_THAT(found(named), ElementsAre("critical certificate_wrong_name"));
}

TEST(Findings, WeakKeysAndSignatures) {
    Probe probe = good(Protocol::pop3);
    Certificate& one = probe.tls->chain.front();
    one.key_type = "RSA";
    for (const auto& [bits, weak] : {std::pair{2047, true}, {2048, false}, {2049, false}}) {
        one.key_bits = bits;
        EXPECT_EQ(found(probe).size(), weak ? 1u : 0u) << bits;
    }
    one.key_type = "ED25519";
    one.key_bits = 253;
    EXPECT_THAT(found(probe), IsEmpty());
    one.signature = "RSA-SHA1";
    EXPECT_THAT(found(probe), ElementsAre("warning weak_signature"));
    // A root is trusted for itself.
    one.signature = "RSA-SHA256";
    Certificate root = certificate(1);
    root.self_signed = true;
    root.signature = "RSA-SHA1";
    probe.tls->chain.push_back(root);
    EXPECT_THAT(found(probe), IsEmpty());
}

TEST(Findings, WhatTlsTakes) {
    Probe probe = good(Protocol::pop3);
    probe.limits = {
        true, false, "NULL-SHA256", "ADH-AES128-SHA", "RC4-SHA", "AES128-SHA", TlsLimits::WrongAlpn::taken,
        true};
    EXPECT_THAT(found(probe), ElementsAre("critical weak_cipher", "critical command_injection",
                                          "warning old_tls", "warning weak_cipher", "warning weak_cipher",
                                          "warning alpn_taken", "note weak_cipher"));
    // Between servers the alternative is mail in clear.
    Probe smtp = good(Protocol::smtp);
    smtp.limits.anonymous = "ADH-AES128-SHA";
    smtp.limits.takes_tls_1_1 = true;
    EXPECT_THAT(found(smtp), ElementsAre("note old_tls", "note weak_cipher"));
    smtp.limits = {};  // nothing was found out
    EXPECT_THAT(found(smtp), IsEmpty());
}

TEST(Findings, OpenRelay) {
    Probe probe = good(Protocol::smtp);
    probe.seen.relays = true;
    EXPECT_THAT(found(probe), ElementsAre("critical open_relay"));
    probe.near = true;
    EXPECT_THAT(found(probe), ElementsAre("note open_relay"));
}

TEST(Findings, MissingCapabilities) {
    Probe pop3 = good(Protocol::pop3);
    pop3.seen.capabilities_tls = {{"USER"}};
    EXPECT_THAT(found(pop3), ElementsAre("warning capability_missing", "warning capability_missing",
                                         "note capability_missing"));
    pop3.seen.capabilities_tls = {{"TOP", "UIDL", "PIPELINING"}};
    EXPECT_THAT(found(pop3), ElementsAre("warning no_login_offered"));
    pop3.seen.capabilities_tls.reset();
    EXPECT_THAT(found(pop3), ElementsAre("warning capability_missing"));
    // What an IMAP server can it tells behind the login alone.
    Probe imap = good(Protocol::imap);
    imap.seen.capabilities_login = {{"IMAP4rev1", "IDLE"}};
    EXPECT_THAT(found(imap), ElementsAre("note capability_missing"));
    imap.seen.capabilities_login.reset();
    EXPECT_THAT(found(imap), IsEmpty());
}

TEST(Findings, WhatIsGivenAway) {
    const auto greeted = [](std::string greeting) {
        Probe probe = good(Protocol::smtp);
        probe.seen.greeting = std::move(greeting);
        return found(probe);
    };
    EXPECT_THAT(greeted("mx.example.com ESMTP Exim 4.96 Sun, 29 Nov 2026 16:00:00 +0000"),
                ElementsAre("note version_told"));
    EXPECT_THAT(greeted("mx.example.com ESMTP Postfix/3.7"), ElementsAre("note version_told"));
    EXPECT_THAT(greeted("mx.example.com ESMTP Sendmail 8.15.2/8.15.2"), ElementsAre("note version_told"));
    for (const char* silent :
         {"mx.example.com ESMTP Postfix (Debian/GNU)", "Dovecot (Debian) ready.", "postfix", "exim4.",
          "ready <1896.697170952@dbc.mtview.ca.us>", "192.0.2.1 ESMTP", ""})
        EXPECT_THAT(greeted(silent), IsEmpty()) << silent;
    Probe names = good(Protocol::smtp);
    names.seen.verify_tells_names = true;
    EXPECT_THAT(found(names), ElementsAre("note names_told"));
}

TEST(Findings, SlowPhases) {
    const auto took = [](std::chrono::milliseconds time) {
        Probe probe = good(Protocol::pop3);
        probe.phases = {{"greeting", time}};
        return found(probe);
    };
    using std::chrono::milliseconds;
    EXPECT_THAT(took(milliseconds(2999)), IsEmpty());
    EXPECT_THAT(took(milliseconds(3000)), ElementsAre("warning slow"));
    EXPECT_THAT(took(milliseconds(9999)), ElementsAre("warning slow"));
    EXPECT_THAT(took(milliseconds(10'000)), ElementsAre("critical slow"));
    // What never came is not slow as well.
    Probe silent = good(Protocol::pop3);
    silent.phases = {{"status", milliseconds(10'000)}};
    silent.failure = Failure{"status", "it has not answered for 10 s"};
    EXPECT_THAT(found(silent), ElementsAre("critical dialogue_failed"));
}

TEST(Findings, Logins) {
    Probe probe = good(Protocol::pop3);
    probe.seen.login_refusal = "[AUTH] no";
    EXPECT_THAT(found(probe), ElementsAre("critical login_refused"));
    probe.seen.login_refusal.clear();
    probe.seen.login_held_back = "the connection is in clear";
    EXPECT_THAT(found(probe), ElementsAre("warning login_not_tried"));
}

Canary flown() {
    Canary canary;
    canary.sent_by = "mail.example.org:25";
    canary.fetched_by = "mail.example.org:995";
    canary.sent = canary.came = canary.unchanged = canary.deleted = true;
    canary.phases = {{"send", std::chrono::milliseconds(20)}, {"wait", std::chrono::seconds(20)}};
    return canary;
}

TEST(Findings, Canaries) {
    const auto codes = [](Canary canary) {
        judge(canary, Rules());
        std::vector<std::string> texts;
        for (const Finding& one : canary.findings)
            texts.push_back(std::string(to_string(one.severity)) + " " + one.code);
        return texts;
    };
    EXPECT_THAT(codes(flown()), IsEmpty());
    Canary canary = flown();
    canary.deleted = false;
    EXPECT_THAT(codes(canary), ElementsAre("warning canary_left"));
    canary = flown();
    canary.unchanged = false;
    EXPECT_THAT(codes(canary), ElementsAre("warning canary_changed"));
    canary = flown();
    canary.came = canary.unchanged = canary.deleted = false;
    EXPECT_THAT(codes(canary), ElementsAre("critical canary_lost"));
    canary.sent = false;
    EXPECT_THAT(codes(canary), ElementsAre("critical canary_not_sent"));
    canary = flown();
    canary.phases[0].time = std::chrono::seconds(3);
    EXPECT_THAT(codes(canary), ElementsAre("warning slow"));
}

// ---- the forms ----

TEST(Nagios, OneLineWithThresholds) {
    Probe probe = good(Protocol::pop3);
    probe.seen.messages = 3;
    judge(probe, Rules());
    const NagiosAnswer answer = nagios_answer({probe}, {}, Rules());
    EXPECT_EQ(answer.exit_code, 0);
    EXPECT_EQ(answer.line,
              "MAIL OK - mail.example.org:110 pop3 in 0.030 s, TLSv1.3, certificate for 60 days | "
              "'connect'=0.003000s;3.000;10.000;0 'total'=0.030000s;;;0 'certificate_days'=60;31:;8: "
              "'messages'=3;;;0");
}

TEST(Nagios, TheWorstComesFirst) {
    Probe slow = good(Protocol::pop3), relay = good(Protocol::smtp);
    slow.phases = {{"greeting", std::chrono::seconds(4)}};
    relay.target.host = "mx=|'\n";
    relay.seen.relays = true;
    relay.seen.relay_reply = "250 ok | 'x'=1\n";
    judge(slow, Rules());
    judge(relay, Rules());
    const NagiosAnswer answer = nagios_answer({slow, relay}, {flown()}, Rules());
    EXPECT_EQ(answer.exit_code, 2);
    EXPECT_THAT(answer.line, testing::StartsWith("MAIL CRITICAL - mx=/'?:110: It is an open relay"));
    EXPECT_THAT(answer.line, HasSubstr("greeting is slow"));
    EXPECT_EQ(std::ranges::count(answer.line, '|'), 1);
    EXPECT_EQ(answer.line.find('\n', answer.line.find('|')), std::string::npos);
    EXPECT_THAT(answer.line, HasSubstr("'canary send'=0.020000s"));
    EXPECT_EQ(nagios_answer({slow}, {}, Rules()).exit_code, 1);
    EXPECT_EQ(nagios_answer({}, {}, Rules()).exit_code, 3);
    EXPECT_EQ(nagios_unknown("no | host").line, "MAIL UNKNOWN - no / host");
}

TEST(ProbeJson, HasFactsAndFindings) {
    Probe probe = good(Protocol::pop3);
    probe.limits.takes_tls_1_1.reset();
    probe.seen.clear_user_taken = true;
    judge(probe, Rules());
    const auto object = to_json(probe);
    EXPECT_EQ(object.at("target"), "mail.example.org:110");
    EXPECT_EQ(object.at("worst"), "critical");
    EXPECT_EQ(object.at("phases").at(0).at("ms").as_double(), 3.0);
    EXPECT_EQ(object.at("tls").at("days_left"), 60);
    EXPECT_TRUE(object.at("limits").at("tls_1_1").is_null());
    EXPECT_EQ(object.at("limits").at("wrong_alpn"), "ignored");
    EXPECT_EQ(object.at("findings").at(0).at("code"), "clear_login");
    EXPECT_TRUE(to_json(Probe()).at("worst").is_null());
    EXPECT_EQ(to_json(flown()).at("came"), true);
}

}  // namespace
}  // namespace pier::watch
