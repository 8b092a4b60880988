#include "watch/pop3_dialogue.h"

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

Login ada() {
    return {"ada", "correct horse", false, false};
}

Plan plan(TlsMode tls) {
    Plan plan;
    plan.protocol = Protocol::pop3;
    plan.tls = tls;
    plan.login = ada();
    return plan;
}

// Dovecot 2.3, which refuses logins in clear.
Script dovecot() {
    return {
        {"", "+OK Dovecot (Debian) ready.\r\n"},
        {"CAPA\r\n",
         "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\nSTLS\r\nSASL\r\n.\r\n"},
        {"USER pier-probe\r\n",
         "-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.\r\n"},
        {"STLS\r\n", "+OK Begin TLS negotiation now.\r\n"},
        {"CAPA\r\n",
         "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\nUSER\r\nSASL PLAIN "
         "LOGIN\r\n.\r\n"},
        {"USER ada\r\n", "+OK\r\n"},
        {"PASS correct horse\r\n", "+OK Logged in.\r\n"},
        {"STAT\r\n", "+OK 2 400\r\n"},
        {"LIST 2\r\n", "+OK 2 23\r\n"},
        {"RETR 2\r\n", "+OK 23 octets\r\nSubject: x\r\n\r\n..dot\r\nend\r\n.\r\n"},
        {"QUIT\r\n", "+OK Logging out.\r\n"}};
}

// Courier, which announces USER and refuses it without TLS.
Script courier() {
    return {{"", "+OK Hello there.\r\n"},
            {"CAPA\r\n",
             "+OK Here's what I can do:\r\nSTLS\r\nTOP\r\nUSER\r\nLOGIN-DELAY 10\r\nPIPELINING\r\nUIDL\r\n"
             "IMPLEMENTATION Courier Mail Server\r\n.\r\n"},
            {"USER pier-probe\r\n", "-ERR TLS required to log in.\r\n"},
            {"STLS\r\n", "+OK Begin SSL/TLS negotiation now.\r\n"},
            {"CAPA\r\n", "+OK\r\nTOP\r\nUSER\r\nPIPELINING\r\nUIDL\r\n.\r\n"},
            {"USER ada\r\n", "+OK Password required.\r\n"},
            {"PASS correct horse\r\n", "+OK logged in.\r\n"},
            {"STAT\r\n", "+OK 0 0\r\n"},
            {"QUIT\r\n", "+OK Bye-bye.\r\n"}};
}

TEST(Pop3Dialogue, LooksLogsInAndReadsTheNewest) {
    const Played played = play(plan(TlsMode::starttls), dovecot());
    EXPECT_EQ(played.failure, "");
    EXPECT_EQ(played.unexpected, "");
    EXPECT_THAT(played.phases, ElementsAre("greeting", "capabilities", "clear_user", "starttls", "tls",
                                           "capabilities_tls", "login", "status", "retrieve", "quit"));
    EXPECT_EQ(played.seen.greeting, "Dovecot (Debian) ready.");
    EXPECT_EQ(played.seen.starttls_offered, true);
    EXPECT_EQ(played.seen.clear_user_taken, false);
    EXPECT_TRUE(played.seen.logged_in);
    EXPECT_EQ(played.seen.messages, 2u);
    EXPECT_EQ(played.seen.maildrop_octets, 400u);
    EXPECT_EQ(played.seen.retrieved_octets, 25u);  // as it was, not as it was told
    EXPECT_TRUE(played.seen.ended_well);
}

TEST(Pop3Dialogue, AnnouncedIsNotTaken) {
    const Played played = play(plan(TlsMode::starttls), courier());
    EXPECT_EQ(played.failure, "");
    EXPECT_EQ(played.seen.clear_user_taken, false);
    EXPECT_EQ(played.seen.messages, 0u);
    EXPECT_FALSE(played.seen.retrieved_octets);
}

TEST(Pop3Dialogue, WhereOctetsAreCutDoesNotMatter) {
    for (const Script& script : {dovecot(), courier()}) {
        const Played whole = play(plan(TlsMode::starttls), script);
        const Played single = play(plan(TlsMode::starttls), script, {.piece = 1});
        EXPECT_EQ(single.failure, "");
        EXPECT_EQ(single.phases, whole.phases);
        EXPECT_EQ(single.seen.retrieved_octets, whole.seen.retrieved_octets);
    }
}

TEST(Pop3Dialogue, EndsWhereverTheServerHangsUp) {
    const std::size_t octets = octets_of(dovecot());
    const std::size_t behind_quit = octets - std::string("+OK Logging out.\r\n").size();
    for (std::size_t cut = 0; cut < octets; ++cut) {
        const Played played = play(plan(TlsMode::starttls), dovecot(), {.cut = cut});
        EXPECT_EQ(played.failure, cut < behind_quit ? "the server closed the connection" : "") << cut;
        EXPECT_FALSE(played.seen.ended_well) << cut;
    }
}

TEST(Pop3Dialogue, SendsNoPasswordInClear) {
    Script script{{"", "+OK\r\n"},
                  {"CAPA\r\n", "-ERR what?\r\n"},
                  {"USER pier-probe\r\n", "+OK\r\n"},
                  {"QUIT\r\n", "+OK\r\n"}};
    const Played played = play(plan(TlsMode::starttls), script);
    EXPECT_EQ(played.unexpected, "");
    EXPECT_EQ(played.seen.starttls_offered, false);
    EXPECT_EQ(played.seen.clear_user_taken, true);
    EXPECT_EQ(played.seen.login_held_back, "the connection is in clear");
    EXPECT_FALSE(played.seen.logged_in);
}

TEST(Pop3Dialogue, SendsNoPasswordToWhomItDoesNotTrust) {
    Script script{{"", "+OK\r\n"}, {"CAPA\r\n", "+OK\r\nUSER\r\n.\r\n"}, {"QUIT\r\n", "+OK\r\n"}};
    const Played held = play(plan(TlsMode::implicit), script, {}, false);
    EXPECT_EQ(held.unexpected, "");
    EXPECT_EQ(held.seen.login_held_back, "the server's certificate is not trusted");

    Plan insecure = plan(TlsMode::implicit);
    insecure.login->untrusted_allowed = true;
    script.pop_back();
    script.push_back({"USER ada\r\n", "-ERR [AUTH] no\x1b[2J\r\n"});
    script.push_back({"QUIT\r\n", "+OK\r\n"});
    const Played refused = play(insecure, script, {}, false);
    EXPECT_EQ(refused.seen.login_refusal, "[AUTH] no?[2J");
}

TEST(Pop3Dialogue, UsesSaslWhereThereIsNoUser) {
    Script script{{"", "+OK\r\n"},
                  {"CAPA\r\n", "+OK\r\nUIDL\r\nSASL PLAIN\r\n.\r\n"},
                  {"AUTH PLAIN\r\n", "+ \r\n"},
                  {"AGFkYQBjb3JyZWN0IGhvcnNl\r\n", "+OK\r\n"},
                  {"STAT\r\n", "+OK 0 0\r\n"},
                  {"QUIT\r\n", "+OK\r\n"}};
    const Played played = play(plan(TlsMode::implicit), script);
    EXPECT_EQ(played.failure, "");
    EXPECT_TRUE(played.seen.logged_in);
}

TEST(Pop3Dialogue, OctetsInClearBehindStlsEndIt) {
    Script script = dovecot();
    script[3].answer += "+OK you are already in\r\n";
    const Played played = play(plan(TlsMode::starttls), script);
    EXPECT_THAT(played.failure, HasSubstr("in clear behind its answer"));
    EXPECT_EQ(played.handshakes, 0);
}

TEST(Pop3Dialogue, AnotherProtocolIsNamed) {
    EXPECT_THAT(play(plan(TlsMode::none), {{"", "220 mx.example.org ESMTP\r\n"}}).failure,
                HasSubstr("no answer of a POP3 server: 220 mx.example.org"));
    EXPECT_THAT(play(plan(TlsMode::none), {{"", "-ERR too many connections\r\n"}}).failure,
                HasSubstr("refuses us"));
}

TEST(Pop3Dialogue, LinesAndListsAreBounded) {
    Plan small = plan(TlsMode::implicit);
    small.limits.line_octets_max = 100;
    small.limits.lines_max = 3;
    const auto capa_of = [&](const std::string& lines) {
        return play(small, {{"", "+OK\r\n"}, {"CAPA\r\n", "+OK\r\n" + lines + ".\r\n"}}).failure;
    };
    EXPECT_EQ(capa_of("A\r\nB\r\nC\r\n"), "the server closed the connection");  // it was taken
    EXPECT_THAT(capa_of("A\r\nB\r\nC\r\nD\r\n"), HasSubstr("list of more than 3 lines"));
    EXPECT_EQ(capa_of(std::string(98, 'x') + "\r\n"), "the server closed the connection");
    EXPECT_THAT(capa_of(std::string(99, 'x') + "\r\n"), HasSubstr("line of more than 100 octets"));
}

TEST(Pop3Dialogue, LargeMailIsNotFetched) {
    Plan small = plan(TlsMode::implicit);
    small.limits.message_octets_max = 100;
    const auto script = [](const std::string& octets) {
        return Script{{"", "+OK\r\n"},
                      {"CAPA\r\n", "+OK\r\nUSER\r\n.\r\n"},
                      {"USER ada\r\n", "+OK\r\n"},
                      {"PASS correct horse\r\n", "+OK\r\n"},
                      {"STAT\r\n", "+OK 1 100\r\n"},
                      {"LIST 1\r\n", "+OK 1 " + octets + "\r\n"},
                      {"RETR 1\r\n", "+OK\r\nx\r\n.\r\n"},
                      {"QUIT\r\n", "+OK\r\n"}};
    };
    EXPECT_EQ(play(small, script("99")).seen.retrieved_octets, 3u);
    EXPECT_EQ(play(small, script("100")).seen.retrieved_octets, 3u);
    EXPECT_FALSE(play(small, script("101")).seen.retrieved_octets);
}

// ---- the injected command ----

Plan injection() {
    Plan plan;
    plan.protocol = Protocol::pop3;
    plan.only_tls = plan.inject = true;
    plan.look = false;
    return plan;
}

Script injected(const std::string& in_tls) {
    return {{"", "+OK\r\n"},
            {"CAPA\r\n", "+OK\r\nSTLS\r\n.\r\n"},
            {"STLS\r\nCAPA\r\n", "+OK\r\n"},
            {"QUIT\r\n", in_tls}};
}

TEST(Pop3Dialogue, InjectedCommand) {
    for (const std::size_t piece : {std::size_t{1}, std::string::npos}) {
        EXPECT_EQ(play(injection(), injected("+OK\r\n"), {.piece = piece}).injected, false);
        EXPECT_EQ(
            play(injection(), injected("+OK\r\nSTLS\r\nUSER\r\n.\r\n+OK\r\n"), {.piece = piece}).injected,
            true);
        EXPECT_EQ(play(injection(), injected("-ERR\r\n+OK\r\n"), {.piece = piece}).injected, true);
    }
    Script refused = injected("+OK\r\n");
    refused[2].answer = "-ERR pipelining\r\n";
    EXPECT_EQ(play(injection(), refused).injected, false);
}

// ---- the canary ----

Plan canary() {
    Plan look = plan(TlsMode::implicit);
    look.find = CanaryToFind{"1000-abc", Time(std::chrono::seconds(5000)), {"known"}};
    return look;
}

Script maildrop(Script rest) {
    Script script{{"", "+OK\r\n"},
                  {"CAPA\r\n", "+OK\r\nUSER\r\n.\r\n"},
                  {"USER ada\r\n", "+OK\r\n"},
                  {"PASS correct horse\r\n", "+OK\r\n"}};
    script.insert(script.end(), rest.begin(), rest.end());
    return script;
}

TEST(Pop3Dialogue, CanaryIsFoundComparedAndDeleted) {
    // The newest is another mail, then the canary, then one that is under way, then an old one of long ago.
    const Played played =
        play(canary(),
             maildrop({{"STAT\r\n", "+OK 5 500\r\n"},
                       {"UIDL\r\n", "+OK\r\n1 known\r\n2 old\r\n3 other\r\n4 mine\r\n5 mail\r\n.\r\n"},
                       {"TOP 5 0\r\n", "+OK\r\nSubject: hi\r\n\r\n.\r\n"},
                       {"TOP 4 0\r\n", "+OK\r\nReceived: x\r\nx-pier-canary: 1000-abc\r\n\r\n.\r\n"},
                       {"RETR 4\r\n", "+OK\r\nReceived: x\r\nx-pier-canary: 1000-abc\r\n\r\nabc.\r\n.\r\n"},
                       {"DELE 4\r\n", "+OK\r\n"},
                       {"TOP 3 0\r\n", "+OK\r\nX-Pier-Canary: 1400-def\r\n\r\n.\r\n"},
                       {"TOP 2 0\r\n", "+OK\r\nX-Pier-Canary: 1399-ghi\r\n\r\n.\r\n"},
                       {"DELE 2\r\n", "+OK\r\n"},
                       {"QUIT\r\n", "+OK\r\n"}}));
    EXPECT_EQ(played.failure, "");
    EXPECT_EQ(played.unexpected, "");
    EXPECT_TRUE(played.seen.canary_found);
    EXPECT_TRUE(played.seen.canary_deleted);
    EXPECT_EQ(played.seen.canary_hash, body_hash("A: b\r\n\r\nabc.\r\n"));
    EXPECT_EQ(played.seen.old_canaries_deleted, 1u);  // that of one hour and one second ago
    EXPECT_THAT(played.seen.uidls_known, testing::UnorderedElementsAre("known", "mail"));
}

TEST(Pop3Dialogue, CanaryIsDeletedOnlyByQuit) {
    const Script script = maildrop({{"STAT\r\n", "+OK 1 100\r\n"},
                                    {"UIDL\r\n", "+OK\r\n1 mine\r\n.\r\n"},
                                    {"TOP 1 0\r\n", "-ERR what is that?\r\n"},
                                    {"RETR 1\r\n", "+OK\r\nX-Pier-Canary: 1000-abc\r\n\r\n.\r\n"},
                                    {"RETR 1\r\n", "+OK\r\nX-Pier-Canary: 1000-abc\r\n\r\n.\r\n"},
                                    {"DELE 1\r\n", "+OK\r\n"},
                                    {"QUIT\r\n", "-ERR [SYS/TEMP] not removed\r\n"}});
    const Played played = play(canary(), script);
    EXPECT_TRUE(played.seen.canary_found);
    EXPECT_FALSE(played.seen.canary_deleted);
}

TEST(Pop3Dialogue, OnlyTheNewestAreLookedAt) {
    Plan few = canary();
    few.limits.looked_at_max = 1;
    const Played played = play(few, maildrop({{"STAT\r\n", "+OK 3 100\r\n"},
                                              {"UIDL\r\n", "+OK\r\n1 a\r\n2 b\r\n3 c\r\n.\r\n"},
                                              {"TOP 3 0\r\n", "+OK\r\n\r\nX-Pier-Canary: 1000-abc\r\n.\r\n"},
                                              {"QUIT\r\n", "+OK\r\n"}}));
    EXPECT_EQ(played.unexpected, "");
    EXPECT_FALSE(played.seen.canary_found);  // it stands in the body
}

TEST(Pop3Dialogue, Tokens) {
    EXPECT_EQ(canary_time("1000-abc"), Time(std::chrono::seconds(1000)));
    EXPECT_FALSE(canary_time("1000"));
    EXPECT_FALSE(canary_time("-1000"));
    EXPECT_FALSE(canary_time("99999999999999999-x"));
    EXPECT_FALSE(canary_token("Subject: x\r\n\r\nX-Pier-Canary: a\r\n"));
    EXPECT_EQ(canary_token("Subject: x\r\nX-Pier-Canary: a b\r\n"), "a");
}

}  // namespace
}  // namespace pier::watch
