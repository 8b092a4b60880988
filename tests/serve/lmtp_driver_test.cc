// LMTP and management over real sockets.
#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "serve/served.h"

namespace pier::test {
namespace {

void greet(Client& client) {
    EXPECT_EQ(client.line().substr(0, 3), "220");
    client.send("LHLO client.example\r\n");
    while (client.line().substr(0, 4) == "250-") {
    }
}

TEST(LmtpDriver, AMessageIsThereWhenItIsAcknowledged) {
    Served served;
    Client client(served.lmtp_port);
    greet(client);
    EXPECT_EQ(client.ask("MAIL FROM:<grace@example.org>").substr(0, 3), "250");
    EXPECT_EQ(client.ask("RCPT TO:<ada>").substr(0, 3), "250");
    EXPECT_EQ(client.ask("RCPT TO:<nobody>").substr(0, 9), "550 5.1.1");
    EXPECT_EQ(client.ask("DATA").substr(0, 3), "354");
    client.send("Subject: x\r\n\r\n..dot\r\nbare\nlf\r\n.\r\n");
    EXPECT_EQ(client.line().substr(0, 3), "250");
    const auto stored = served.stored();
    ASSERT_EQ(stored.size(), 1u);
    EXPECT_EQ(stored[0].substr(0, 34), "Return-Path: <grace@example.org>\r\n");
    EXPECT_TRUE(stored[0].ends_with("Subject: x\r\n\r\n.dot\r\nbare\r\nlf\r\n")) << stored[0];
}

TEST(LmtpDriver, ALargeMessageGoesThroughAFile) {
    ServedOptions options;
    options.lmtp.limits.message_octets_max = 32 << 20;
    Served served(std::move(options));
    std::string text;
    while (text.size() < 5'000'000)
        text += "a line of a large message\r\n";
    Client client(served.lmtp_port);
    greet(client);
    client.ask("MAIL FROM:<>");
    client.ask("RCPT TO:<ada>");
    client.ask("DATA");
    client.send(text + ".\r\n");
    EXPECT_EQ(client.line().substr(0, 3), "250");
    EXPECT_TRUE(served.stored().at(0).ends_with(text));
}

TEST(LmtpDriver, AConnectionLostInsideTheDataDeliversNothing) {
    Served served;
    {
        Client client(served.lmtp_port);
        greet(client);
        client.ask("MAIL FROM:<>");
        client.ask("RCPT TO:<ada>");
        client.ask("DATA");
        client.send("Subject: half\r\n\r\nhalf a mess");
    }
    Client other(served.lmtp_port);
    greet(other);
    EXPECT_EQ(other.ask("QUIT").substr(0, 3), "221");
    EXPECT_TRUE(served.stored().empty());
}

// The session reads on to the end of the message that it is told of the stop in; it must wait for it, not ask
// without end.
TEST(LmtpDriver, AMessageThatIsUnderWayWhenTheServerStopsIsTakenToItsEnd) {
    Served served;
    Client client(served.lmtp_port);
    greet(client);
    client.ask("MAIL FROM:<>");
    client.ask("RCPT TO:<ada>");
    client.ask("DATA");
    client.send("Subject: half\r\n\r\nhalf ");
    std::atomic<int> asked = 0;
    std::thread stop([&] { served.server().stop(std::chrono::seconds(10), [&] { return ++asked > 1; }); });
    while (asked < 2)
        std::this_thread::yield();
    client.send("and the rest\r\n.\r\n");
    EXPECT_EQ(client.line().substr(0, 3), "250");
    EXPECT_EQ(client.line().substr(0, 3), "421");
    stop.join();
    EXPECT_EQ(served.stored().size(), 1u);
}

TEST(LmtpDriver, AFullMailboxIsToldPerRecipient) {
    ServedOptions options;
    options.quota_octets = 500;
    Served served(std::move(options));
    Client client(served.lmtp_port);
    greet(client);
    for (const char* expected : {"250", "452"}) {
        client.ask("MAIL FROM:<>");
        client.ask("RCPT TO:<ada>");
        client.ask("DATA");
        client.send(std::string(200, 'x') + "\r\n.\r\n");
        EXPECT_EQ(client.line().substr(0, 3), expected);
    }
    EXPECT_EQ(served.stored().size(), 1u);
}

TEST(AdminDriver, RequestsWithAndWithoutOctetsFollowEachOther) {
    Served served;
    Client client(served.admin_path);
    client.send(
        "{\"method\":\"echo\",\"params\":{\"a\":1}}\n{\"method\":\"echo\",\"params\":{},\"octets\":5}"
        "\nhello");
    client.finish_sending();
    EXPECT_EQ(client.rest(),
              "{\"ok\":{\"params\":{\"a\":1},\"body\":\"\"}}\n{\"ok\":{\"params\":{},\"body\":\"hello\"}}\n");
}

TEST(AdminDriver, NonsenseIsAnsweredAndEndsTheConnection) {
    Served served;
    Client client(served.admin_path);
    client.send("GET / HTTP/1.0\n\n");
    EXPECT_EQ(client.rest().substr(0, 9), "{\"error\":");
    Client large(served.admin_path);
    large.send("{\"method\":\"echo\",\"params\":{},\"octets\":1001}\n");
    EXPECT_EQ(large.rest().substr(0, 9), "{\"error\":");
    Client unknown(served.admin_path);
    unknown.send("{\"method\":\"no.such\",\"params\":{}}\n");
    unknown.finish_sending();
    EXPECT_EQ(unknown.rest().substr(0, 9), "{\"error\":");
}

}  // namespace
}  // namespace pier::test
