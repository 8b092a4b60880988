#include "migrate/pop3_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dialogue.h"

namespace pier::migrate {
namespace {

using test::play;
using test::Played;
using test::Turn;
using testing::ElementsAre;
using testing::HasSubstr;

Login ada() {
    Login login;
    login.user = "ada@example.org";
    login.password = "correct horse";
    return login;
}

const bool no_more = false;
Played play_login(Login login, std::deque<Turn> script, Pop3Client::Limits limits = {}) {
    Pop3Client client(std::move(login), limits);
    return play(client, std::move(script), [](int) { return no_more; });
}

std::deque<Turn> session() {
    return {
        {"", "+OK ready\r\n"},
        {"STLS\r\n", "+OK begin\r\n"},
        {"CAPA\r\n", "+OK\r\nUSER\r\nPIPELINING\r\nSASL PLAIN LOGIN\r\n.\r\n"},
        {"USER ada@example.org\r\n", "+OK\r\n"},
        {"PASS correct horse\r\n", "+OK logged in\r\n"},
        {"UIDL\r\nLIST\r\n", "+OK\r\n1 one\r\n2 two\r\n4 four\r\n.\r\n+OK 3\r\n1 20\r\n2 12\r\n4 5\r\n.\r\n"},
        {"RETR 1\r\nRETR 2\r\nTOP 4 0\r\n",
         "+OK\r\nSubject: x\r\n\r\n..dot\r\n.\r\n-ERR it is\x1b[2J gone\r\n+OK\r\nSubject: "
         "four\r\n\r\n.\r\n"},
        {"QUIT\r\n", "+OK bye\r\n"}};
}

Played play_session(Pop3Client& client, std::size_t cut) {
    return play(
        client, session(),
        [&](int time) {
            if (time == 0) client.list();
            if (time == 1) {
                client.message(1);
                client.message(2);
                client.head(4);
            }
            if (time == 2) client.quit();
            return time < 3;
        },
        cut);
}

TEST(Pop3Client, TakesAMaildropOverTls) {
    Pop3Client client(ada(), {});
    const Played played = play_session(client, std::string::npos);
    EXPECT_THAT(played.events, ElementsAre("tls", "idle", "idle", "fetched 1: Subject: x\r\n\r\n.dot\r\n",
                                           "refused 2: the server refused it: it is?[2J gone",
                                           "fetched 4: Subject: four\r\n\r\n", "idle", "idle"));
    ASSERT_EQ(client.messages().size(), 3u);
    EXPECT_EQ(client.messages()[2].number, 4u);
    EXPECT_EQ(client.messages()[2].uidl, "four");
    EXPECT_EQ(client.messages()[2].octets, 5u);
    EXPECT_TRUE(client.pipelining());
}

TEST(Pop3Client, ItDoesNotMatterWhereTheAnswersAreCut) {
    std::size_t octets = 0;
    for (const Turn& turn : session())
        octets += turn.answer.size();
    Pop3Client whole(ada(), {});
    const auto wanted = play_session(whole, std::string::npos).events;
    for (std::size_t cut = 0; cut < octets; ++cut) {
        Pop3Client client(ada(), {});
        EXPECT_EQ(play_session(client, cut).events, wanted) << "cut at " << cut;
    }
}

TEST(Pop3Client, WaitsForEachAnswerWithoutPipelining) {
    Login login = ada();
    login.tls_already = true;
    Pop3Client client(login, {});
    const Played played = play(client,
                               {{"", "+OK\r\n"},
                                {"CAPA\r\n", "-ERR what?\r\n"},
                                {"USER ada@example.org\r\n", "+OK\r\n"},
                                {"PASS correct horse\r\n", "+OK\r\n"},
                                {"RETR 1\r\n", "+OK\r\nx\r\n.\r\n"},
                                {"RETR 2\r\n", "+OK\r\n.\r\n"}},
                               [&](int time) {
                                   client.message(1);
                                   client.message(2);
                                   return time == 0;
                               });
    EXPECT_THAT(played.events, ElementsAre("idle", "fetched 1: x\r\n", "fetched 2: ", "idle"));
}

TEST(Pop3Client, AMasterUserLogsInForAnother) {
    Login login = ada();
    login.tls_already = true;
    login.act_as = "bob";
    const Played played =
        play_login(login, {{"", "+OK\r\n"},
                           {"CAPA\r\n", "+OK\r\nSASL PLAIN\r\n.\r\n"},
                           {"AUTH PLAIN\r\n", "+ \r\n"},
                           {"Ym9iAGFkYUBleGFtcGxlLm9yZwBjb3JyZWN0IGhvcnNl\r\n", "+OK\r\n"}});
    EXPECT_THAT(played.events, ElementsAre("idle"));
}

TEST(Pop3Client, SendsNoPasswordWithoutTlsUnlessToldTo) {
    EXPECT_THAT(play_login(ada(), {{"", "+OK\r\n"}, {"STLS\r\n", "-ERR no\r\n"}}).failure(),
                HasSubstr("no STLS"));
    Login login = ada();
    login.clear_allowed = true;
    EXPECT_THAT(play_login(login, {{"", "+OK\r\n"},
                                   {"STLS\r\n", "-ERR no\r\n"},
                                   {"CAPA\r\n", "-ERR no\r\n"},
                                   {"USER ada@example.org\r\n", "+OK\r\n"},
                                   {"PASS correct horse\r\n", "+OK\r\n"}})
                    .events,
                ElementsAre("idle"));
}

TEST(Pop3Client, OctetsInClearBehindStlsEndIt) {
    EXPECT_THAT(play_login(ada(), {{"", "+OK\r\n"}, {"STLS\r\n", "+OK\r\n+OK you are in\r\n"}}).failure(),
                HasSubstr("behind the answer to STLS"));
}

TEST(Pop3Client, APasswordCannotHoldACommand) {
    Login login = ada();
    login.password = "x\r\nDELE 1";
    EXPECT_THAT(play_login(login, {{"", "+OK\r\n"}}).failure(), HasSubstr("line end"));
}

TEST(Pop3Client, WhatItSaysOfARefusedLoginShowsNoPassword) {
    const std::string failure = play_login(ada(), {{"", "+OK\r\n"},
                                                   {"STLS\r\n", "+OK\r\n"},
                                                   {"CAPA\r\n", "-ERR\r\n"},
                                                   {"USER ada@example.org\r\n", "+OK\r\n"},
                                                   {"PASS correct horse\r\n", "-ERR wrong \x07password\r\n"}})
                                    .failure();
    EXPECT_EQ(failure, "the login of ada@example.org was refused: wrong ?password");
}

// ---- strangers ----

std::deque<Turn> logged_in(std::vector<Turn> more) {
    std::deque<Turn> script{{"", "+OK\r\n"},
                            {"CAPA\r\n", "+OK\r\nPIPELINING\r\nUSER\r\n.\r\n"},
                            {"USER ada@example.org\r\n", "+OK\r\n"},
                            {"PASS correct horse\r\n", "+OK\r\n"}};
    script.insert(script.end(), more.begin(), more.end());
    return script;
}

Played play_asking(Pop3Client::Limits limits, std::vector<Turn> more,
                   const std::function<void(Pop3Client&)>& ask) {
    Login login = ada();
    login.tls_already = true;
    Pop3Client client(login, limits);
    return play(client, logged_in(std::move(more)), [&](int time) {
        if (time == 0) ask(client);
        return time == 0;
    });
}

TEST(Pop3Client, AMessageThatIsTooLargeIsPassedOver) {
    Pop3Client::Limits limits;
    limits.message_octets_max = 10;
    const Played played =
        play_asking(limits, {{"RETR 1\r\nRETR 2\r\n", "+OK\r\n12345678\r\n.\r\n+OK\r\n123456789\r\n.\r\n"}},
                    [](Pop3Client& client) {
                        client.message(1);
                        client.message(2);
                    });
    EXPECT_THAT(played.events,
                ElementsAre("idle", "fetched 1: 12345678\r\n", HasSubstr("refused 2: it is larger"), "idle"));
}

TEST(Pop3Client, AMessageWithoutEndEndsIt) {
    Pop3Client::Limits limits;
    limits.message_octets_max = 10;
    limits.skipped_octets_max = 1000;
    const Played played = play_asking(limits, {{"RETR 1\r\n", "+OK\r\n" + std::string(100'000, 'x')}},
                                      [](Pop3Client& client) { client.message(1); });
    EXPECT_THAT(played.failure(), HasSubstr("without end"));
}

TEST(Pop3Client, AnEndlessLineEndsIt) {
    EXPECT_THAT(play_login(ada(), {{"", std::string(1 << 20, '+')}}).failure(), HasSubstr("endless line"));
    EXPECT_THAT(play_asking({}, {{"UIDL\r\nLIST\r\n", "+OK\r\n1 " + std::string(1 << 20, 'x')}},
                            [](Pop3Client& client) { client.list(); })
                    .failure(),
                HasSubstr("endless line"));
}

TEST(Pop3Client, AListWithoutEndEndsIt) {
    Pop3Client::Limits limits;
    limits.messages_max = 100;
    std::string list = "+OK\r\n";
    for (int i = 1; i < 1000; ++i)
        list += fmt::format("{} u{}\r\n", i, i);
    EXPECT_THAT(play_asking(limits, {{"UIDL\r\nLIST\r\n", list}}, [](Pop3Client& client) { client.list(); })
                    .failure(),
                HasSubstr("more than 100 messages"));
}

TEST(Pop3Client, WhatIsNotPop3EndsIt) {
    EXPECT_THAT(play_login(ada(), {{"", "220 smtp\r\n"}}).failure(), HasSubstr("not POP3"));
    EXPECT_THAT(play_login(ada(), {{"", ""}}).failure(), HasSubstr("closed"));
    EXPECT_THAT(play_login(ada(), {{"", "-ERR busy\r\n"}}).failure(), HasSubstr("busy"));
}

TEST(Pop3Client, AServerWithoutUidlIsRefused) {
    EXPECT_THAT(play_asking({}, {{"UIDL\r\nLIST\r\n", "-ERR unknown\r\n+OK\r\n.\r\n"}},
                            [](Pop3Client& client) { client.list(); })
                    .failure(),
                HasSubstr("UIDLs"));
}

}  // namespace
}  // namespace pier::migrate
