#include "watch/smtp_dialogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "watch/played_dialogue.h"

namespace pier::watch {
namespace {

using test::octets_of;
using test::play;
using test::Played;
using test::Script;
using testing::ElementsAre;
using testing::HasSubstr;

Plan plan(TlsMode tls, Protocol protocol = Protocol::smtp) {
    Plan plan;
    plan.protocol = protocol;
    plan.tls = tls;
    plan.hostname = "probe.example";
    plan.relay_from = "a@example.org";
    plan.relay_to = "b@example.net";
    return plan;
}

Script postfix() {
    return {{"", "220 mx.example.com ESMTP Postfix (Debian/GNU)\r\n"},
            {"EHLO probe.example\r\n",
             "250-mx.example.com\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-STARTTLS\r\n250 8BITMIME\r\n"},
            {"STARTTLS\r\n", "220 2.0.0 Ready to start TLS\r\n"},
            {"EHLO probe.example\r\n",
             "250-mx.example.com\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-AUTH PLAIN LOGIN\r\n250 "
             "8BITMIME\r\n"},
            {"VRFY postmaster\r\n", "252 2.0.0 postmaster\r\n"},
            {"VRFY no-such-user-of-pier-probe\r\n", "550 5.1.1 User unknown in local recipient table\r\n"},
            {"MAIL FROM:<a@example.org>\r\n", "250 2.1.0 Ok\r\n"},
            {"RCPT TO:<b@example.net>\r\n", "454 4.7.1 <b@example.net>: Relay access denied\r\n"},
            {"RSET\r\n", "250 2.0.0 Ok\r\n"},
            {"QUIT\r\n", "221 2.0.0 Bye\r\n"}};
}

Script exim() {
    return {
        {"", "220-mx.example.com ESMTP Exim 4.96 Sun, 29 Nov 2026 16:00:00 +0000\r\n220 no spam here\r\n"},
        {"EHLO probe.example\r\n",
         "250-mx.example.com Hello\r\n250-SIZE 52428800\r\n250-STARTTLS\r\n250 HELP\r\n"},
        {"STARTTLS\r\n", "220 TLS go ahead\r\n"},
        {"EHLO probe.example\r\n", "250-mx.example.com Hello\r\n250-SIZE 52428800\r\n250 HELP\r\n"},
        {"VRFY postmaster\r\n", "252 VRFY not available\r\n"},
        {"VRFY no-such-user-of-pier-probe\r\n", "252 VRFY not available\r\n"},
        {"MAIL FROM:<a@example.org>\r\n", "250 OK\r\n"},
        {"RCPT TO:<b@example.net>\r\n", "250 Accepted\r\n"},
        {"RSET\r\n", "250 Reset OK\r\n"},
        {"QUIT\r\n", "221 mx.example.com closing connection\r\n"}};
}

TEST(SmtpDialogue, LooksAtPostfix) {
    const Played played = play(plan(TlsMode::starttls), postfix());
    EXPECT_EQ(played.failure, "");
    EXPECT_EQ(played.unexpected, "");
    EXPECT_THAT(played.phases, ElementsAre("greeting", "capabilities", "starttls", "tls", "capabilities_tls",
                                           "verify", "relay", "quit"));
    EXPECT_EQ(played.seen.verify_tells_names, true);
    EXPECT_FALSE(played.seen.relays);
    EXPECT_EQ(played.seen.relay_reply, "454 4.7.1 <b@example.net>: Relay access denied");
    EXPECT_TRUE(has_mechanism(*played.seen.capabilities_tls, "LOGIN"));
    EXPECT_FALSE(has_mechanism(*played.seen.capabilities, "LOGIN"));
}

TEST(SmtpDialogue, LooksAtAnOpenExim) {
    const Played played = play(plan(TlsMode::starttls), exim());
    EXPECT_EQ(played.failure, "");
    EXPECT_EQ(played.unexpected, "");
    EXPECT_EQ(played.seen.greeting, "mx.example.com ESMTP Exim 4.96 Sun, 29 Nov 2026 16:00:00 +0000");
    EXPECT_EQ(played.seen.verify_tells_names, false);
    EXPECT_TRUE(played.seen.relays);
}

TEST(SmtpDialogue, WhereOctetsAreCutDoesNotMatter) {
    for (const Script& script : {postfix(), exim()}) {
        const Played single = play(plan(TlsMode::starttls), script, {.piece = 1});
        EXPECT_EQ(single.failure, "");
        EXPECT_EQ(single.unexpected, "");
        EXPECT_TRUE(single.seen.ended_well);
        for (std::size_t cut = 0; cut < octets_of(script); ++cut)
            EXPECT_FALSE(play(plan(TlsMode::starttls), script, {.cut = cut}).seen.ended_well) << cut;
    }
}

TEST(SmtpDialogue, LogsInToSubmission) {
    Plan login = plan(TlsMode::implicit, Protocol::submission);
    login.look = false;
    login.login = Login{"ada", "correct horse", false, false};
    Script script{{"", "220 hi\r\n"},
                  {"EHLO probe.example\r\n", "250-hi\r\n250 AUTH LOGIN\r\n"},
                  {"AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n"},
                  {"YWRh\r\n", "334 UGFzc3dvcmQ6\r\n"},
                  {"Y29ycmVjdCBob3JzZQ==\r\n", "235 2.7.0 fine\r\n"},
                  {"QUIT\r\n", "221 bye\r\n"}};
    EXPECT_TRUE(play(login, script).seen.logged_in);
    script[4].answer = "535 5.7.8 no\r\n";
    const Played refused = play(login, script);
    EXPECT_FALSE(refused.seen.logged_in);
    EXPECT_EQ(refused.seen.login_refusal, "535 5.7.8 no");
}

TEST(SmtpDialogue, SendsACanary) {
    Plan send = plan(TlsMode::none, Protocol::lmtp);
    send.send = CanaryToSend{"from@example.org", "to@example.com", "Subject: x\r\n\r\n.dot\r\n"};
    Script script{{"", "220 hi\r\n"},
                  {"LHLO probe.example\r\n", "250 hi\r\n"},
                  {"MAIL FROM:<from@example.org>\r\n", "250 ok\r\n"},
                  {"RCPT TO:<to@example.com>\r\n", "250 ok\r\n"},
                  {"DATA\r\n", "354 go\r\n"},
                  {"Subject: x\r\n\r\n..dot\r\n.\r\n", "250 2.1.5 delivered\r\n"},
                  {"QUIT\r\n", "221 bye\r\n"}};
    const Played sent = play(send, script);
    EXPECT_EQ(sent.unexpected, "");
    EXPECT_TRUE(sent.seen.sent);
    EXPECT_THAT(sent.phases,
                ElementsAre("greeting", "capabilities", "mail", "recipient", "data", "message", "quit"));
    for (const std::size_t at : {2, 3, 4, 5}) {
        Script refusing = script;
        refusing[at].answer = "451 4.3.0 later\r\n";
        refusing.erase(refusing.begin() + static_cast<std::ptrdiff_t>(at) + 1, refusing.end() - 1);
        const Played refused = play(send, refusing);
        EXPECT_FALSE(refused.seen.sent) << at;
        EXPECT_EQ(refused.seen.sent_reply, "451 4.3.0 later") << at;
    }
}

TEST(SmtpDialogue, OldAndStrangeServers) {
    Script old{{"", "220 hi\r\n"},
               {"EHLO probe.example\r\n", "500 what?\r\n"},
               {"HELO probe.example\r\n", "250 hi\r\n"},
               {"VRFY postmaster\r\n", "502 no\r\n"},
               {"VRFY no-such-user-of-pier-probe\r\n", "502 no\r\n"},
               {"MAIL FROM:<a@example.org>\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n"},
               {"QUIT\r\n", "221\r\n"}};
    const Played played = play(plan(TlsMode::starttls), old);
    EXPECT_EQ(played.failure, "");
    EXPECT_EQ(played.seen.starttls_offered, false);
    EXPECT_FALSE(played.seen.capabilities);
    EXPECT_EQ(played.seen.verify_tells_names, false);
    EXPECT_EQ(played.seen.relay_reply, "530 5.7.0 Must issue a STARTTLS command first");
    EXPECT_THAT(play(plan(TlsMode::none), {{"", "554 no SMTP service here\r\n"}}).failure,
                HasSubstr("refuses us"));
    EXPECT_THAT(play(plan(TlsMode::none), {{"", "HTTP/1.1 400 Bad Request\r\n"}}).failure,
                HasSubstr("no answer of an SMTP server"));
}

TEST(SmtpDialogue, RepliesAreBounded) {
    Plan small = plan(TlsMode::none);
    small.limits.lines_max = 3;
    EXPECT_EQ(play(small, {{"", "220-a\r\n220-b\r\n220-c\r\n"}}).failure, "the server closed the connection");
    EXPECT_THAT(play(small, {{"", "220-a\r\n220-b\r\n220-c\r\n220-d\r\n"}}).failure,
                HasSubstr("more than 3 lines"));
}

TEST(SmtpDialogue, InjectedCommand) {
    Plan inject = plan(TlsMode::starttls);
    inject.only_tls = inject.inject = true;
    const auto script = [](const std::string& to_starttls, const std::string& in_tls) {
        return Script{{"", "220 hi\r\n"},
                      {"EHLO probe.example\r\n", "250-hi\r\n250 STARTTLS\r\n"},
                      {"STARTTLS\r\nNOOP\r\n", to_starttls},
                      {"QUIT\r\n", in_tls}};
    };
    EXPECT_EQ(play(inject, script("220 go\r\n", "221 bye\r\n")).injected, false);
    EXPECT_EQ(play(inject, script("220 go\r\n", "250 ok\r\n221 bye\r\n")).injected, true);
    EXPECT_EQ(play(inject, script("554 synchronization error\r\n", "221 bye\r\n")).injected, false);
}

TEST(SmtpDialogue, LineEndsInWhatWeSaySendNothing) {
    Plan bad = plan(TlsMode::none);
    bad.relay_to = "b@example.net>\r\nDATA";
    const Played played = play(bad, {{"", "220 hi\r\n"}});
    EXPECT_THAT(played.failure, HasSubstr("line end"));
}

}  // namespace
}  // namespace pier::watch
