// LMTP, SMTP and management over real sockets.
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

TEST(SmtpDriver, MailFromTheWorldIsThereWhenItIsAcknowledged) {
    Served served;
    ASSERT_TRUE(served.directory().put_domain({"example.org"}));
    Client client(served.smtp_port);
    EXPECT_EQ(client.line(), "220 mail.example.org ESMTP Pier ready");
    EXPECT_EQ(client.ask("HELO client.example"), "250 mail.example.org");
    EXPECT_EQ(client.ask("MAIL FROM:<grace@example.com>").substr(0, 3), "250");
    EXPECT_EQ(client.ask("RCPT TO:<ada@example.org>").substr(0, 3), "250");
    EXPECT_EQ(client.ask("RCPT TO:<nobody@example.org>").substr(0, 9), "550 5.1.1");
    EXPECT_EQ(client.ask("RCPT TO:<ada@elsewhere.example>"),
              "550 5.7.1 mail for this domain is not taken here");
    EXPECT_EQ(client.ask("DATA").substr(0, 3), "354");
    client.send("Subject: x\r\n\r\nHi\r\n.\r\n");
    EXPECT_EQ(client.line(), "250 2.0.0 delivered");
    const auto stored = served.stored();
    ASSERT_EQ(stored.size(), 1u);
    EXPECT_NE(stored[0].find(" with SMTP id "), std::string::npos) << stored[0];
}

TEST(SmtpDriver, TlsBeginsByStarttls) {
    Served served;
    ASSERT_TRUE(served.directory().put_domain({"example.org"}));
    Client client(served.smtp_port);
    client.line();
    EXPECT_EQ(client.ask("STARTTLS"), "220 2.0.0 begin TLS");
    ASSERT_TRUE(client.start_tls());
    client.send("EHLO client.example\r\n");
    while (client.line().substr(0, 4) == "250-") {
    }
    for (const auto command :
         {"MAIL FROM:<grace@example.com>", "RCPT TO:<Postmaster>", "RCPT TO:<postmaster@Example.org>"})
        EXPECT_EQ(client.ask(command).substr(0, 3), "250") << command;
    EXPECT_EQ(client.ask("DATA").substr(0, 3), "354");
    client.send("Subject: x\r\n\r\nHi\r\n.\r\n");
    EXPECT_EQ(client.line(), "250 2.0.0 delivered");
    const auto stored = served.stored();
    ASSERT_EQ(stored.size(), 1u) << "postmaster is the oldest account, and gets one copy";
    EXPECT_NE(stored[0].find(" with ESMTPS id "), std::string::npos) << stored[0];
}

// Attack: clients believe what stands in our name (RFC 8601 §5).
TEST(SmtpDriver, ResultsThatClaimToBeOursComeFromNobodyElse) {
    Served served;
    ASSERT_TRUE(served.directory().put_domain({"example.org"}));
    const std::string forged = "Authentication-Results: mail.example.org; spf=pass\r\n";
    Client client(served.smtp_port);
    client.line();
    client.ask("HELO client.example");
    client.ask("MAIL FROM:<grace@example.com>");
    client.ask("RCPT TO:<ada+x@example.org>");
    client.ask("DATA");
    client.send(forged + "Subject: x\r\n\r\n" + forged + ".\r\n");
    EXPECT_EQ(client.line(), "250 2.0.0 delivered");
    const auto stored = served.stored();
    ASSERT_EQ(stored.size(), 1u);
    EXPECT_NE(stored[0].find("\r\nDelivered-To: ada+x@example.org\r\n"), std::string::npos) << stored[0];
    EXPECT_TRUE(stored[0].ends_with("\r\nSubject: x\r\n\r\n" + forged)) << stored[0];
    EXPECT_EQ(stored[0].find(forged), stored[0].size() - forged.size());
}

// Keeps what would go to other servers.
class KeptQueue final : public queue::Intake {
  public:
    void append(store::NewMessage message, queue::NewOutgoing outgoing,
                store::Done<std::vector<Result<store::Appended>>> done) override {
        queued.push_back(std::move(outgoing));
        done(std::vector<Result<store::Appended>>(message.targets.size(), store::Appended{}));
    }
    std::vector<queue::NewOutgoing> queued;
};

TEST(SmtpDriver, MailIsForwardedUnlessItComesBack) {
    KeptQueue queue;
    Served served;
    served.delivery().use_queue(&queue);
    ASSERT_TRUE(served.directory().put_domain({"example.org"}));
    ASSERT_TRUE(served.directory().put_alias({"out@example.org", {"zoe@example.net"}}));
    Client client(served.smtp_port);
    client.line();
    client.ask("HELO client.example");
    const auto send = [&](const std::string& recipient, const std::string& field) {
        client.ask("MAIL FROM:<grace@example.com>");
        EXPECT_EQ(client.ask("RCPT TO:<" + recipient + ">").substr(0, 3), "250");
        client.ask("DATA");
        client.send(field + "Subject: x\r\n\r\nHi\r\n.\r\n");
        return client.line();
    };
    EXPECT_EQ(send("out@example.org", "").substr(0, 9), "250 2.0.0");
    ASSERT_EQ(queue.queued.size(), 1u);
    const smtp::Address sender = queue.queued[0].recipients.at(0).sender;
    EXPECT_EQ(sender.domain, "example.org");
    EXPECT_EQ(send("out@example.org", "Delivered-To: Out@example.org\r\n").substr(0, 9), "554 5.4.6");
    EXPECT_EQ(queue.queued.size(), 1u);
    // The bounce.
    EXPECT_EQ(send(sender.text(), "").substr(0, 9), "250 2.0.0");
    ASSERT_EQ(queue.queued.size(), 2u);
    EXPECT_EQ(queue.queued[1].recipients.at(0).recipient.address.text(), "grace@example.com");
    EXPECT_TRUE(served.stored().empty());
}

TEST(SmtpDriver, WhoIsFullIsToldAtOnce) {
    ServedOptions options;
    options.quota_octets = 1000;
    Served served(options);
    ASSERT_TRUE(served.directory().put_domain({"example.org"}));
    ASSERT_TRUE(served.directory().add({.name = "grace"}));
    Client client(served.smtp_port);
    client.line();
    client.send("EHLO client.example\r\n");
    while (client.line().substr(0, 4) == "250-") {
    }
    EXPECT_EQ(client.ask("MAIL FROM:<> SIZE=1001").substr(0, 3), "250");
    EXPECT_EQ(client.ask("RCPT TO:<ada@example.org>"), "452 4.2.2 the mailbox is full; try again later");
    EXPECT_EQ(client.ask("RCPT TO:<grace@example.org>").substr(0, 3), "250");
    EXPECT_EQ(client.ask("RSET").substr(0, 3), "250");
    // Who has not said how much comes learns it at the end, and then nobody has got it.
    for (const auto command : {"MAIL FROM:<>", "RCPT TO:<ada@example.org>", "RCPT TO:<grace@example.org>"})
        EXPECT_EQ(client.ask(command).substr(0, 3), "250") << command;
    EXPECT_EQ(client.ask("DATA").substr(0, 3), "354");
    client.send("Subject: x\r\n\r\n" + std::string(900, 'x') + "\r\n.\r\n");
    EXPECT_EQ(client.line(), "452 4.2.2 the mailbox is full; try again later");
    EXPECT_TRUE(served.stored().empty());
    EXPECT_EQ(served.store().usage(served.directory().find("grace")->id)->messages, 0u);
}

TEST(SmtpDriver, WhoTalksNonsenseIsBlocked) {
    ServedOptions options;
    options.guard.scans_max = 1;
    options.smtp.limits.bad_commands_max = 3;
    Served served(options);
    Client client(served.smtp_port, "127.0.0.2");
    client.line();
    for (int i = 0; i < 2; ++i)
        EXPECT_EQ(client.ask("GET / HTTP/1.1").substr(0, 3), "500");
    EXPECT_EQ(client.ask("Host: x").substr(0, 3), "500");
    EXPECT_EQ(client.line().substr(0, 3), "421");
    EXPECT_EQ(client.rest(), "");
    Client again(served.smtp_port, "127.0.0.2");
    EXPECT_EQ(again.line(), "");
    Client other(served.smtp_port, "127.0.0.3");
    EXPECT_EQ(other.line().substr(0, 3), "220");
}

TEST(LmtpDriver, TlsMayBeginAtOnce) {
    Served served;
    Client client(served.lmtps_port);
    ASSERT_TRUE(client.start_tls());
    EXPECT_EQ(client.line(), "220 mail.example.org LMTP Pier ready");
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
