#include "watch/imap_dialogue.h"

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

Plan plan(TlsMode tls) {
    Plan plan;
    plan.protocol = Protocol::imap;
    plan.tls = tls;
    plan.login = Login{"ada", "correct \"horse\"", false, false};
    return plan;
}

Script dovecot() {
    return {
        {"", "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] Dovecot (Debian) ready.\r\n"},
        {"p1 CAPABILITY\r\n",
         "* CAPABILITY IMAP4rev1 SASL-IR IDLE LITERAL+ STARTTLS LOGINDISABLED\r\np1 OK Pre-login "
         "capabilities "
         "listed, post-login capabilities have more.\r\n"},
        {"p2 STARTTLS\r\n", "p2 OK Begin TLS negotiation now.\r\n"},
        {"p3 CAPABILITY\r\n", "* CAPABILITY IMAP4rev1 IDLE AUTH=PLAIN AUTH=LOGIN\r\np3 OK done\r\n"},
        {"p4 AUTHENTICATE PLAIN\r\n", "+ \r\n"},
        {"AGFkYQBjb3JyZWN0ICJob3JzZSI=\r\n", "* CAPABILITY IMAP4rev1 UIDPLUS\r\np4 OK Logged in\r\n"},
        {"p5 CAPABILITY\r\n", "* CAPABILITY IMAP4rev1 UIDPLUS IDLE\r\np5 OK done\r\n"},
        {"p6 EXAMINE INBOX\r\n",
         "* FLAGS (\\Answered)\r\n* OK [PERMANENTFLAGS ()] Read-only.\r\n* 2 EXISTS\r\n* 0 RECENT\r\np6 OK "
         "[READ-ONLY] Examine completed.\r\n"},
        {"p7 FETCH 2 BODY.PEEK[]<0.1048576>\r\n",
         "* 2 FETCH (BODY[]<0> {15}\r\nSubject: {9}\r\n\r\n)\r\np7 OK Fetch completed.\r\n"},
        {"p8 LOGOUT\r\n", "* BYE Logging out\r\np8 OK Logout completed.\r\n"}};
}

Script courier() {
    return {{"", "* OK [CAPABILITY IMAP4rev1 UIDPLUS IDLE STARTTLS] Courier-IMAP ready.\r\n"},
            {"p1 CAPABILITY\r\n",
             "* CAPABILITY IMAP4rev1 UIDPLUS IDLE STARTTLS\r\np1 OK CAPABILITY completed\r\n"},
            {"p2 STARTTLS\r\n", "p2 OK Begin SSL/TLS negotiation now.\r\n"},
            {"p3 CAPABILITY\r\n", "* CAPABILITY IMAP4rev1 UIDPLUS IDLE\r\np3 OK CAPABILITY completed\r\n"},
            {"p4 LOGIN \"ada\" \"correct \\\"horse\\\"\"\r\n", "p4 OK LOGIN Ok.\r\n"},
            {"p5 CAPABILITY\r\n", "* CAPABILITY IMAP4rev1 UIDPLUS IDLE\r\np5 OK done\r\n"},
            {"p6 EXAMINE INBOX\r\n", "* 0 EXISTS\r\np6 OK [READ-ONLY] Ok\r\n"},
            {"p7 LOGOUT\r\n", "* BYE Courier-IMAP server shutting down\r\np7 OK LOGOUT completed\r\n"}};
}

TEST(ImapDialogue, LooksLogsInAndReadsTheNewest) {
    const Played played = play(plan(TlsMode::starttls), dovecot());
    EXPECT_EQ(played.failure, "");
    EXPECT_EQ(played.unexpected, "");
    EXPECT_THAT(played.phases, ElementsAre("greeting", "capabilities", "starttls", "tls", "capabilities_tls",
                                           "login", "capabilities_login", "status", "retrieve", "quit"));
    EXPECT_TRUE(has_capability(*played.seen.capabilities, "LOGINDISABLED"));
    EXPECT_TRUE(has_mechanism(*played.seen.capabilities_tls, "plain"));
    EXPECT_EQ(played.seen.messages, 2u);
    EXPECT_EQ(played.seen.retrieved_octets, 15u);
    EXPECT_TRUE(played.seen.ended_well);
}

TEST(ImapDialogue, WhereOctetsAreCutDoesNotMatter) {
    for (const Script& script : {dovecot(), courier()}) {
        const Played single = play(plan(TlsMode::starttls), script, {.piece = 1});
        EXPECT_EQ(single.failure, "");
        EXPECT_EQ(single.unexpected, "");
        EXPECT_TRUE(single.seen.ended_well);
    }
}

TEST(ImapDialogue, EndsWhereverTheServerHangsUp) {
    const std::size_t octets = octets_of(courier());
    for (std::size_t cut = 0; cut < octets; ++cut) {
        const Played played = play(plan(TlsMode::starttls), courier(), {.cut = cut});
        EXPECT_FALSE(played.seen.ended_well) << cut;
        EXPECT_EQ(played.failure.empty(), cut >= octets_of(courier()) - courier().back().answer.size())
            << cut;
    }
}

TEST(ImapDialogue, RefusalsAreTold) {
    Script script = courier();
    script[4].answer = "p4 NO Login failed.\r\n";
    script[5] = {"p5 LOGOUT\r\n", "p5 OK\r\n"};
    script.resize(6);
    EXPECT_EQ(play(plan(TlsMode::starttls), script).seen.login_refusal, "Login failed.");
    EXPECT_THAT(play(plan(TlsMode::none), {{"", "* BYE too many\r\n"}}).failure,
                HasSubstr("refuses us: too many"));
    EXPECT_THAT(play(plan(TlsMode::none), {{"", "+OK POP3\r\n"}}).failure,
                HasSubstr("no greeting of an IMAP server"));
}

TEST(ImapDialogue, LiteralsAndLinesAreBounded) {
    Plan small = plan(TlsMode::none);
    small.limits.message_octets_max = 100;
    small.limits.lines_max = 3;
    const auto after = [&](const std::string& answer) {
        return play(small, {{"", "* OK hi\r\n"}, {"p1 CAPABILITY\r\n", answer}}).failure;
    };
    EXPECT_EQ(after("* X {100}\r\n"), "the server closed the connection");
    EXPECT_THAT(after("* X {101}\r\n"), HasSubstr("literal of 101 octets"));
    EXPECT_EQ(after("* A\r\n* B\r\n* C\r\n"), "the server closed the connection");
    EXPECT_THAT(after("* A\r\n* B\r\n* C\r\n* D\r\n"), HasSubstr("more than 3 lines"));
}

TEST(ImapDialogue, InjectedCommand) {
    Plan inject;
    inject.protocol = Protocol::imap;
    inject.only_tls = inject.inject = true;
    const auto script = [](const std::string& in_tls) {
        return Script{{"", "* OK hi\r\n"},
                      {"p1 CAPABILITY\r\n", "* CAPABILITY IMAP4rev1 STARTTLS\r\np1 OK\r\n"},
                      {"p2 STARTTLS\r\ninjected CAPABILITY\r\n", "p2 OK\r\n"},
                      {"p3 LOGOUT\r\n", in_tls}};
    };
    EXPECT_EQ(play(inject, script("* BYE\r\np3 OK\r\n")).injected, false);
    EXPECT_EQ(play(inject, script("* CAPABILITY IMAP4rev1\r\ninjected OK\r\n* BYE\r\np3 OK\r\n")).injected,
              true);
}

}  // namespace
}  // namespace pier::watch
