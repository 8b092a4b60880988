#include "migrate/imap_client.h"

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
    login.user = "ada";
    login.password = "say \"\\\"";
    return login;
}

std::deque<Turn> session() {
    return {
        {"", "* OK [CAPABILITY IMAP4rev1] ready\r\n"},
        {"a1 CAPABILITY\r\n", "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\na1 OK\r\n"},
        {"a2 STARTTLS\r\n", "a2 OK begin\r\n"},
        {"a3 CAPABILITY\r\n", "* CAPABILITY IMAP4rev1\r\na3 OK\r\n"},
        {"a4 LOGIN \"ada\" \"say \\\"\\\\\\\"\"\r\n", "a4 OK [CAPABILITY IMAP4rev1] in\r\n"},
        {"a5 LIST \"\" \"*\"\r\n",
         "* LIST (\\HasChildren) \".\" INBOX\r\n* LIST (\\Noselect) \".\" \"INBOX.Old\"\r\n* LIST () \".\" "
         "{9}\r\nINBOX.a\\b\r\n* LIST () NIL \"x\\\"y\"\r\na5 OK\r\n"},
        {"a6 EXAMINE \"INBOX.a\\\\b\"\r\n",
         "* 3 EXISTS\r\n* FLAGS (\\Seen)\r\n* OK [UIDVALIDITY 1234] ok\r\n* OK [UIDNEXT 9] ok\r\na6 OK "
         "[READ-ONLY]\r\n"},
        {"a7 UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)\r\n",
         "* 2 FETCH (UID 5 FLAGS (\\Seen $Forwarded) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE "
         "12)\r\n"
         "* 1 FETCH (FLAGS (\\Recent \\Flagged label) UID 3 RFC822.SIZE 7 INTERNALDATE \" 7-Jul-1996 "
         "02:44:25 "
         "+0000\")\r\na7 OK done\r\n"},
        {"a8 UID FETCH 3 (BODY.PEEK[])\r\na9 UID FETCH 5 (BODY.PEEK[])\r\na10 UID FETCH 8 (BODY.PEEK[])\r\n",
         "* 1 FETCH (UID 3 BODY[] {7}\r\na\r\n) b\r)\r\na8 OK\r\n* 1 FETCH (FLAGS (\\Seen))\r\n"
         "* 2 FETCH (BODY[] \"quo\\\"ted\" UID 5)\r\na9 OK\r\na10 OK nothing\r\n"},
        {"a11 LOGOUT\r\n", "* BYE\r\na11 OK\r\n"}};
}

Played play_session(ImapClient& client, std::size_t cut) {
    return play(
        client, session(),
        [&](int time) {
            if (time == 0) client.list_mailboxes();
            if (time == 1) client.open("INBOX.a\\b");
            if (time == 2) client.list_messages();
            if (time == 3) {
                client.message(3);
                client.message(5);
                client.message(8);
            }
            if (time == 4) client.log_out();
            return time < 5;
        },
        cut);
}

TEST(ImapClient, TakesAMailbox) {
    ImapClient client(ada(), {});
    const Played played = play_session(client, std::string::npos);
    EXPECT_THAT(played.events,
                ElementsAre("tls", "idle", "idle", "idle", "idle", "fetched 3: a\r\n) b\r",
                            "fetched 5: quo\"ted", "refused 8: it is gone at the source", "idle", "idle"));
    ASSERT_EQ(client.mailboxes().size(), 4u);
    EXPECT_FALSE(client.mailboxes()[1].selectable);
    EXPECT_EQ(client.mailboxes()[2].name, "INBOX.a\\b");
    EXPECT_EQ(client.mailboxes()[3].name, "x\"y");
    EXPECT_EQ(client.mailboxes()[3].separator, "");
    const ImapClient::Opened& opened = client.opened();
    EXPECT_TRUE(opened.done);
    EXPECT_EQ(opened.uid_validity, 1234u);
    ASSERT_EQ(opened.messages.size(), 2u);
    EXPECT_EQ(opened.messages[0].uid, 3u);
    EXPECT_EQ(opened.messages[0].flags, store::flag::flagged);
    EXPECT_TRUE(opened.messages[0].keywords);
    EXPECT_EQ(opened.messages[1].flags, store::flag::seen | store::flag::forwarded);
    EXPECT_FALSE(opened.messages[1].keywords);
    EXPECT_EQ(opened.messages[1].octets, 12u);
    EXPECT_EQ(to_rfc3339(*opened.messages[1].internal_date), "1996-07-17T09:44:25Z");
}

TEST(ImapClient, ItDoesNotMatterWhereTheAnswersAreCut) {
    std::size_t octets = 0;
    for (const Turn& turn : session())
        octets += turn.answer.size();
    ImapClient whole(ada(), {});
    const auto wanted = play_session(whole, std::string::npos).events;
    for (std::size_t cut = 0; cut < octets; ++cut) {
        ImapClient client(ada(), {});
        EXPECT_EQ(play_session(client, cut).events, wanted) << "cut at " << cut;
    }
}

TEST(ImapClient, ReadsTheHeadersOfAMailboxAtOnce) {
    Login login = ada();
    login.tls_already = true;
    ImapClient client(login, {});
    const Played played =
        play(client,
             {{"", "* OK\r\n"},
              {"a1 CAPABILITY\r\n", "* CAPABILITY AUTH=PLAIN\r\na1 OK\r\n"},
              {"a2 AUTHENTICATE PLAIN\r\n", "+ \r\n"},
              {"AGFkYQBzYXkgIlwi\r\n", "a2 OK\r\n"},
              {"a3 EXAMINE \"INBOX\"\r\n", "* 2 EXISTS\r\na3 OK\r\n"},
              {"a4 UID FETCH 1:* (BODY.PEEK[HEADER])\r\n",
               "* 1 FETCH (UID 1 BODY[HEADER] {4}\r\nA:1\n)\r\n* 2 FETCH (UID 2 BODY[HEADER] "
               "NIL)\r\na4 OK\r\n"}},
             [&](int time) {
                 if (time == 0) client.open("INBOX");
                 if (time == 1) client.heads();
                 return time < 2;
             });
    EXPECT_THAT(played.events, ElementsAre("idle", "idle", "fetched 1: A:1\n",
                                           "refused 2: the server has no content for it", "idle"));
}

// ---- strangers ----

Played play_login(std::deque<Turn> script, ImapClient::Limits limits = {}, bool tls = true) {
    Login login = ada();
    login.tls_already = tls;
    ImapClient client(login, limits);
    return play(client, std::move(script), [&](int time) {
        if (time == 0) client.open("INBOX");
        if (time == 1) client.message(1);
        return time < 2;
    });
}

std::deque<Turn> opened(std::string answer) {
    return {{"", "* OK\r\n"},
            {"a1 CAPABILITY\r\n", "a1 OK\r\n"},
            {"a2 LOGIN \"ada\" \"say \\\"\\\\\\\"\"\r\n", "a2 OK\r\n"},
            {"a3 EXAMINE \"INBOX\"\r\n", "* 1 EXISTS\r\na3 OK\r\n"},
            {"a4 UID FETCH 1 (BODY.PEEK[])\r\n", std::move(answer)}};
}

TEST(ImapClient, AMessageThatIsTooLargeIsPassedOver) {
    ImapClient::Limits limits;
    limits.reader.literal_octets_max = 3;
    EXPECT_THAT(play_login(opened("* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\na4 OK\r\n"), limits).events,
                ElementsAre("idle", "idle", "fetched 1: abc", "idle"));
    EXPECT_THAT(play_login(opened("* 1 FETCH (UID 1 BODY[] {4}\r\nabcd)\r\na4 OK\r\n"), limits).events,
                ElementsAre("idle", "idle", HasSubstr("refused 1: it has 4 octets"), "idle"));
}

TEST(ImapClient, AnswersWithoutEndEndIt) {
    ImapClient::Limits limits;
    limits.reader.line_octets_max = 1000;
    EXPECT_THAT(play_login({{"", std::string(1001, '*')}}, limits).failure(), HasSubstr("endless line"));
    EXPECT_THAT(play_login(opened("* 1 FETCH (UID 1 BODY[] {99999999999999}\r\n")).failure(),
                HasSubstr("without end"));
    std::string literals = "* 1 FETCH (";
    for (int i = 0; i < 100; ++i)
        literals += "{0}\r\n ";
    EXPECT_THAT(play_login(opened(literals)).failure(), HasSubstr("without end"));
}

TEST(ImapClient, DeepListsAreNoValues) {
    EXPECT_THAT(play_login(opened("* 1 FETCH " + std::string(100'000, '(') + "\r\na4 OK\r\n")).events,
                ElementsAre("idle", "idle", "refused 1: it is gone at the source", "idle"));
}

TEST(ImapClient, WhatIsNotImapEndsIt) {
    EXPECT_THAT(play_login({{"", "+OK pop3\r\n"}}).failure(), HasSubstr("does not take the login"));
    EXPECT_THAT(play_login(opened("a5 OK\r\n")).failure(), HasSubstr("not IMAP"));
    EXPECT_THAT(play_login(opened("* BYE \x1b[31m\r\n")).failure(), HasSubstr("ended the session: ?[31m"));
    EXPECT_THAT(play_login(opened("+ go on\r\n")).failure(), HasSubstr("waits for something"));
    EXPECT_THAT(play_login(opened("")).failure(), HasSubstr("closed"));
}

TEST(ImapClient, OctetsInClearBehindStarttlsEndIt) {
    EXPECT_THAT(play_login({{"", "* OK\r\n"},
                            {"a1 CAPABILITY\r\n", "* CAPABILITY STARTTLS\r\na1 OK\r\n"},
                            {"a2 STARTTLS\r\n", "a2 OK\r\n* CAPABILITY\r\n"}},
                           {}, false)
                    .failure(),
                HasSubstr("behind the answer to STARTTLS"));
}

TEST(ImapClient, SendsNoPasswordInClear) {
    EXPECT_THAT(play_login({{"", "* OK\r\n"}, {"a1 CAPABILITY\r\n", "* CAPABILITY IMAP4rev1\r\na1 OK\r\n"}},
                           {}, false)
                    .failure(),
                HasSubstr("no STARTTLS"));
}

TEST(ImapClient, NamesOfMailboxes) {
    EXPECT_EQ(local_mailbox({"inbox", ".", true}), "INBOX");
    EXPECT_EQ(local_mailbox({"INBOX.Sent", ".", true}), "Sent");
    EXPECT_EQ(local_mailbox({"INBOX.Work.2026", ".", true}), "Work/2026");
    EXPECT_EQ(local_mailbox({"Work/2026", "/", true}), "Work/2026");
    EXPECT_EQ(local_mailbox({"a/b.c", ".", true}), "a_b/c");
    EXPECT_EQ(local_mailbox({"Entw&APw-rfe", "/", true}), "Entwürfe");
    EXPECT_EQ(local_mailbox({"flat", "", true}), "flat");
    EXPECT_EQ(local_mailbox({"INBOX.INBOX", ".", true}), "_INBOX");
    EXPECT_EQ(local_mailbox({".removed/2026-11-29", "/", true}), "_.removed/2026-11-29");
    EXPECT_EQ(local_mailbox({"a\x1b[2J", "/", true}), "a_[2J");
}

TEST(ImapClient, InternalDates) {
    EXPECT_EQ(to_rfc3339(*parse_internal_date("01-Jan-2026 00:00:00 +0100")), "2025-12-31T23:00:00Z");
    EXPECT_FALSE(parse_internal_date("yesterday"));
    EXPECT_FALSE(parse_internal_date("01-Jan"));
}

}  // namespace
}  // namespace pier::migrate
