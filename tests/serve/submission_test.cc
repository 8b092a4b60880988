// Submission over real sockets: who may send as whom, what is added, and where mail goes.
#include "serve/submission.h"

#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serve/served.h"
#include "wire/base64.h"

namespace pier::test {
namespace {

using testing::ContainsRegex;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Keeps what it is given, and appends what stays here as the queue would.
class HeldQueue : public queue::Intake {
  public:
    void append(store::NewMessage message, queue::NewOutgoing outgoing,
                store::Done<std::vector<Result<store::Appended>>> done) override {
        std::lock_guard lock(mutex_);
        kept_.push_back(std::move(outgoing));
        prefix_ = message.prefix;
        if (message.targets.empty()) return done(std::vector<Result<store::Appended>>{});
        store->append(std::move(message), std::move(done));
    }
    std::vector<queue::NewOutgoing> kept() {
        std::lock_guard lock(mutex_);
        return kept_;
    }
    std::string prefix() {
        std::lock_guard lock(mutex_);
        return prefix_;
    }
    store::Store* store = nullptr;

  private:
    std::mutex mutex_;
    std::vector<queue::NewOutgoing> kept_;
    std::string prefix_;
};

std::string ehlo(Client& client) {
    client.send("EHLO client.example\r\n");
    std::string all, line;
    do {
        line = client.line();
        all += line + "\n";
    } while (line.starts_with("250-"));
    return all;
}

const std::string ada = "AUTH PLAIN " + wire::base64_encode(std::string("\0ada\0secret", 11));

class SubmissionTest : public testing::Test {
  protected:
    void start(ServedOptions options = {}) {
        options.queue = queue_used ? &queue : nullptr;
        served = std::make_unique<Served>(std::move(options));
        queue.store = &served->store();
        ASSERT_TRUE(served->directory().put_domain({"example.org"}));
        client = std::make_unique<Client>(served->submission_port);
        EXPECT_EQ(client->line(), "220 mail.example.org ESMTP Pier ready");
        ehlo(*client);
    }
    void log_in(ServedOptions options = {}) {
        start(std::move(options));
        ASSERT_EQ(client->ask(ada), "235 2.7.0 logged in");
    }
    // The reply to the first command that is refused, or to the end of the message.
    std::string send(const std::string& message, const std::string& from = "<ada@example.org>",
                     const std::vector<std::string>& to = {"<ada@example.org>"}) {
        std::string reply = client->ask("MAIL FROM:" + from);
        if (!reply.starts_with("250")) return reply;
        for (const std::string& one : to) {
            reply = client->ask("RCPT TO:" + one);
            if (!reply.starts_with("250")) {
                client->ask("RSET");
                return reply;
            }
        }
        reply = client->ask("DATA");
        if (!reply.starts_with("354")) return reply;
        client->send(message + "\r\n.\r\n");
        return client->line();
    }

    HeldQueue queue;
    bool queue_used = true;
    std::unique_ptr<Served> served;
    std::unique_ptr<Client> client;
};

const std::string complete =
    "From: Ada <ada@example.org>\r\nDate: Sun, 29 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n";

TEST_F(SubmissionTest, AMessageComesAsItWasWritten) {
    start();
    ASSERT_EQ(client->ask("STARTTLS"), "220 2.0.0 begin TLS");
    ASSERT_TRUE(client->start_tls());
    EXPECT_THAT(ehlo(*client), HasSubstr("AUTH SCRAM-SHA-256-PLUS"));
    ASSERT_EQ(client->ask(ada), "235 2.7.0 logged in");
    EXPECT_EQ(send(complete + "Bcc: x@example.org\r\n\r\nHi"), "250 2.0.0 delivered");
    const auto stored = served->stored();
    ASSERT_EQ(stored.size(), 1u);
    EXPECT_THAT(
        stored[0],
        HasSubstr("from client.example ([127.0.0.1])\r\n\tby mail.example.org (Pier) with ESMTPSA id"));
    EXPECT_THAT(stored[0], EndsWith("+0000\r\n" + complete + "Bcc: x@example.org\r\n\r\nHi\r\n"));
    EXPECT_TRUE(queue.kept().empty());
}

TEST_F(SubmissionTest, WithTlsFromTheFirstOctet) {
    start();
    client = std::make_unique<Client>(served->submissions_port);
    ASSERT_TRUE(client->start_tls());
    client->line();
    ehlo(*client);
    ASSERT_EQ(client->ask(ada), "235 2.7.0 logged in");
    EXPECT_EQ(send(complete), "250 2.0.0 delivered");
}

TEST_F(SubmissionTest, WhatIsMissingIsAdded) {
    ServedOptions options;
    options.rules.hide_client = true;
    log_in(std::move(options));
    EXPECT_EQ(send("From: ada@example.org\r\n\r\nHi"), "250 2.0.0 delivered");
    const auto stored = served->stored();
    ASSERT_EQ(stored.size(), 1u);
    EXPECT_THAT(
        stored[0],
        ContainsRegex("\nDate: [^\n]* \\+0000\r\nMessage-ID: <[^ @]{24}@mail.example.org>\r\nFrom: "));
    EXPECT_THAT(stored[0], HasSubstr("\r\nReceived: by mail.example.org (Pier) with ESMTPA id"));
    EXPECT_THAT(stored[0], Not(HasSubstr("127.0.0.1")));
    EXPECT_THAT(stored[0], Not(HasSubstr("Sender:")));
}

TEST_F(SubmissionTest, NobodySendsAsAnother) {
    log_in();
    ASSERT_TRUE(served->directory().add({.name = "grace"}));
    ASSERT_TRUE(served->directory().put_alias({"sales@example.org", {"ada"}}));
    EXPECT_EQ(send(complete, "<grace@example.org>"), "550 5.7.1 grace@example.org is not yours to send as");
    EXPECT_EQ(send(complete, "<ada@elsewhere.example>"),
              "550 5.7.1 ada@elsewhere.example is not yours to send as");
    EXPECT_EQ(send(complete, "<sales@example.org>"), "250 2.0.0 delivered");
    EXPECT_EQ(send(complete, "<Ada+tag@Example.org>"), "250 2.0.0 delivered");
    EXPECT_EQ(send(complete, "<grace+tag@example.org>").substr(0, 9), "550 5.7.1");
    EXPECT_EQ(send(complete, "<>"), "250 2.0.0 delivered");
    EXPECT_EQ(send("From: Ada <ada@example.org>, grace@example.org\r\n"),
              "550 5.7.1 From names grace@example.org, which is not yours");
    EXPECT_EQ(send("From: ada@example.org\r\nSender: \"ada@example.org\" <grace@example.org>\r\n\r\nHi"),
              "550 5.7.1 Sender names grace@example.org, which is not yours");
    EXPECT_EQ(send("From: grace@example.org\r\n", "<>").substr(0, 9), "550 5.7.1");
    EXPECT_EQ(send("From: \xC3\xA4@example.net\r\n", "<ada@example.org> SMTPUTF8"),
              "550 5.7.1 From names ??@example.net, which is not yours");
    EXPECT_EQ(served->stored().size(), 3u);
}

TEST_F(SubmissionTest, AnAdministratorMayAllowIt) {
    log_in();
    ASSERT_TRUE(served->directory().add({.name = "grace"}));
    auth::AccountChange change;
    change.send_as = std::vector<std::string>{"Grace@example.org", "@example.net"};
    ASSERT_TRUE(served->directory().change("ada", change));
    // The next login knows it.
    client = std::make_unique<Client>(served->submission_port);
    client->line();
    ehlo(*client);
    client->ask(ada);
    EXPECT_EQ(send("From: grace@example.org, x@example.net\r\n", "<y@example.net>"), "250 2.0.0 delivered");
    EXPECT_THAT(served->stored().back(), Not(HasSubstr("Sender:")));
    EXPECT_EQ(send(complete, "<grace@example.com>").substr(0, 9), "550 5.7.1");
    change.send_as = std::vector<std::string>{"any"};
    ASSERT_TRUE(served->directory().change("ada", change));
    client = std::make_unique<Client>(served->submission_port);
    client->line();
    ehlo(*client);
    client->ask(ada);
    EXPECT_EQ(send("From: x@example.com\r\n", "<x@example.com>"), "250 2.0.0 delivered");
    EXPECT_THAT(served->stored().back(), HasSubstr("\r\nSender: <ada@mail.example.org>\r\n"));
    EXPECT_EQ(send("From: x@example.com\r\n", "<ada@example.org>"), "250 2.0.0 delivered");
    EXPECT_THAT(served->stored().back(), HasSubstr("\r\nSender: <ada@example.org>\r\n"));
}

TEST_F(SubmissionTest, TheCheckCanBeLess) {
    ServedOptions options;
    options.rules.sender_check = serve::SenderCheck::envelope;
    log_in(std::move(options));
    EXPECT_EQ(send("From: x@example.com\r\n"), "250 2.0.0 delivered");
    EXPECT_EQ(send(complete, "<x@example.com>").substr(0, 9), "550 5.7.1");
    EXPECT_EQ(send(complete, "<>"), "550 5.7.1 who submits mail names himself as its sender");
    options = {};
    options.rules.sender_check = serve::SenderCheck::off;
    log_in(std::move(options));
    EXPECT_EQ(send("From: x@example.com\r\n", "<y@example.com>"), "250 2.0.0 delivered");
}

TEST_F(SubmissionTest, AHeaderThatCannotGoOutIsRefused) {
    ServedOptions options;
    options.rules.header.fields_max = 100;
    options.rules.header.header_octets_max = 20'000;
    options.rules.from_addresses_max = 3;
    log_in(std::move(options));
    EXPECT_EQ(send("Hi"), "554 5.6.0 a line of the header is no field");
    EXPECT_EQ(send("Subject: x\r\n\r\nHi"), "554 5.6.0 the header has no From");
    EXPECT_EQ(send(""), "554 5.6.0 the header has no From");
    EXPECT_EQ(send(complete + "From: grace@example.org\r\n"), "554 5.6.0 the header has more than one From");
    EXPECT_EQ(send("From: Ada\r\n"), "554 5.6.0 From has no address, or too many, or cannot be read");
    EXPECT_EQ(
        send("From: ada@example.org, ada@example.org, ada@example.org, ada@example.org\r\n").substr(0, 9),
        "554 5.6.0");
    EXPECT_EQ(send(complete + "Subject: \xC3\xA4\r\n"),
              "554 5.6.0 the header is not ASCII; encode it (RFC 2047), or use SMTPUTF8");
    std::string many = complete;
    for (int i = 0; i < 98; ++i)
        many += "X: y\r\n";
    EXPECT_EQ(send(many), "554 5.6.0 the header has more than 100 fields");
    EXPECT_EQ(send(complete + "X: " + std::string(20'000, 'x') + "\r\n"),
              "554 5.6.0 the header is too large");
    EXPECT_EQ(send(complete + "Subject: \xC3\xA4\r\n", "<ada@example.org> SMTPUTF8"), "250 2.0.0 delivered");
    EXPECT_EQ(send(complete + "\r\n" + std::string(50'000, 'x')), "250 2.0.0 delivered");
    EXPECT_THAT(served->stored().at(0), HasSubstr("with UTF8SMTPA id"));
}

TEST_F(SubmissionTest, WhatIsForOthersGoesIntoTheQueue) {
    log_in();
    EXPECT_EQ(
        send(complete + "\r\nHi", "<ada@example.org> RET=HDRS ENVID=x BODY=8BITMIME",
             {"<ada@example.org>", "<grace@example.net> NOTIFY=NEVER", "<ada+x@example.com> ORCPT=rfc822;y"}),
        "250 2.0.0 delivered");
    auto kept = queue.kept();
    ASSERT_EQ(kept.size(), 1u);
    EXPECT_EQ(kept[0].account, "ada");
    EXPECT_EQ(kept[0].envelope.sender.text(), "ada@example.org");
    EXPECT_EQ(kept[0].envelope.ret, smtp::Return::headers);
    EXPECT_EQ(kept[0].envelope.id, "x");
    EXPECT_TRUE(kept[0].envelope.body_8bit);
    ASSERT_EQ(kept[0].recipients.size(), 2u);
    EXPECT_EQ(kept[0].recipients[0].recipient.address.text(), "grace@example.net");
    EXPECT_EQ(kept[0].recipients[0].recipient.notify, smtp::notify::never);
    EXPECT_EQ(kept[0].recipients[0].sender.text(), "ada@example.org");
    EXPECT_EQ(kept[0].recipients[1].recipient.original, "rfc822;y");
    EXPECT_EQ(served->stored().size(), 1u);
    EXPECT_EQ(send("From: ada@example.org\r\n", "<ada@example.org>", {"<grace@example.net>"}),
              "250 2.0.0 queued");
    EXPECT_THAT(queue.prefix(), StartsWith("Received: from client.example"));
    EXPECT_THAT(queue.prefix(), ContainsRegex("id [^;\n]*;\r\n[^\n]*\nDate: [^\n]*\nMessage-ID: [^\n]*\n$"));
    EXPECT_EQ(send(complete, "<ada@example.org>", {"<nobody@example.org>"}),
              "550 5.1.1 no such mailbox here");
}

TEST_F(SubmissionTest, WithoutAQueueNothingLeaves) {
    queue_used = false;
    log_in();
    EXPECT_EQ(send(complete, "<ada@example.org>", {"<grace@example.net>"}),
              "550 5.7.1 mail for other servers is not taken here");
    EXPECT_EQ(send(complete), "250 2.0.0 delivered");
}

TEST_F(SubmissionTest, NothingIsTakenFromStrangers) {
    start();
    EXPECT_EQ(client->ask("MAIL FROM:<ada@example.org>"), "530 5.7.0 log in first, with AUTH");
    EXPECT_EQ(client->ask("AUTH PLAIN " + wire::base64_encode(std::string("\0ada\0wrong", 10))),
              "535 5.7.8 Authentication failed");
    EXPECT_EQ(client->ask("MAIL FROM:<ada@example.org>"), "530 5.7.0 log in first, with AUTH");
    EXPECT_EQ(served->guard().counts().blocked, 0u);
    Client other(served->submission_port, "127.0.0.2");
    EXPECT_THAT(other.line(), StartsWith("220"));
}

TEST_F(SubmissionTest, AnAccountMayBeKeptFromIt) {
    start();
    auth::AccountChange change;
    change.protocols = auth::Protocols(std::vector<std::string>{"pop3"});
    ASSERT_TRUE(served->directory().change("ada", change));
    EXPECT_THAT(client->ask(ada), StartsWith("535 5.7.13 This account may not log in by this protocol"));
    change.protocols = auth::Protocols(std::vector<std::string>{"submission"});
    ASSERT_TRUE(served->directory().change("ada", change));
    EXPECT_EQ(client->ask(ada), "235 2.7.0 logged in");
}

TEST_F(SubmissionTest, ByScramAndWithoutClearLogins) {
    start();
    EXPECT_EQ(client->ask("AUTH SCRAM-SHA-256 biwsbj1hZGEscj14").substr(0, 4), "334 ");
    EXPECT_EQ(client->ask("*"), "501 5.7.0 AUTH cancelled");
    ServedOptions options;
    options.clear_login = serve::ClearLogin::never;
    start(std::move(options));
    EXPECT_EQ(client->ask(ada), "538 5.7.11 logging in needs TLS; send STARTTLS first");
}

TEST_F(SubmissionTest, AnAccountSendsSoMuchAndNoMore) {
    ServedOptions options;
    options.rate.messages_per_hour_max = 2;
    options.rate.recipients_per_hour_max = 3;
    log_in(std::move(options));
    EXPECT_EQ(send(complete), "250 2.0.0 delivered");
    EXPECT_EQ(send(complete, "<ada@example.org>", {"<a@example.net>", "<b@example.net>", "<c@example.net>"}),
              "450 4.7.1 too much mail within an hour; try again later");
    EXPECT_EQ(send(complete, "<ada@example.org>", {"<a@example.net>", "<b@example.net>"}),
              "250 2.0.0 queued");
    EXPECT_EQ(send(complete), "450 4.7.1 too much mail within an hour; try again later");
    // Many connections do not help.
    Client second(served->submission_port);
    second.line();
    ehlo(second);
    second.ask(ada);
    EXPECT_EQ(second.ask("MAIL FROM:<ada@example.org>"),
              "450 4.7.1 too much mail within an hour; try again later");
}

TEST_F(SubmissionTest, PortTwentyFiveRelaysNothing) {
    start();
    Client world(served->smtp_port);
    world.line();
    EXPECT_THAT(ehlo(world), Not(HasSubstr("AUTH")));
    EXPECT_EQ(world.ask(ada), "500 5.5.1 unknown command");
    EXPECT_EQ(world.ask("MAIL FROM:<ada@example.org>"), "250 2.1.0 sender ok");
    for (const char* to : {"<x@example.net>", "<x%example.net@example.org>", "<example.net!x@example.org>",
                           "<\"x@example.net\"@example.org>", "<@example.org:x@example.net>"})
        EXPECT_EQ(world.ask(std::string("RCPT TO:") + to).substr(0, 3), "550") << to;
    EXPECT_TRUE(queue.kept().empty());
}

TEST(SendRate, CountsHoursAndDays) {
    Time now{std::chrono::hours(1000)};
    serve::SendLimits limits;
    limits.messages_per_hour_max = 2;
    limits.messages_per_day_max = 3;
    limits.recipients_per_hour_max = 10;
    limits.recipients_per_day_max = 12;
    serve::SendRate rate(limits, [&] { return now; });
    const store::AccountId one{1}, two{2};
    EXPECT_EQ(rate.refusal(one, 11), "recipients_per_hour_max");
    EXPECT_EQ(rate.take(one, 10), "");
    EXPECT_EQ(rate.take(one, 1), "recipients_per_hour_max");
    EXPECT_EQ(rate.take(one, 0), "");
    EXPECT_EQ(rate.take(one, 0), "messages_per_hour_max");
    EXPECT_EQ(rate.take(two, 10), "");
    now += std::chrono::hours(1) - std::chrono::microseconds(1);
    EXPECT_EQ(rate.take(one, 0), "messages_per_hour_max");
    now += std::chrono::microseconds(1);
    EXPECT_EQ(rate.refusal(one, 3), "recipients_per_day_max");
    EXPECT_EQ(rate.take(one, 2), "");
    EXPECT_EQ(rate.take(one, 0), "messages_per_day_max");
    now += std::chrono::hours(23);
    EXPECT_EQ(rate.take(one, 10), "");
    EXPECT_EQ(rate.refused(), 4u);
    EXPECT_EQ(rate.take(two, UINT64_MAX), "recipients_per_hour_max");
}

TEST(SendRate, HoldsNoMoreAccountsThanItsLimit) {
    Time now{std::chrono::hours(1000)};
    serve::SendLimits limits;
    limits.counted_accounts_max = 10;
    serve::SendRate rate(limits, [&] { return now; });
    for (std::uint64_t i = 1; i <= 100; ++i)
        EXPECT_EQ(rate.take(store::AccountId{i}, 1), "");
    EXPECT_EQ(rate.counted(), 10u);
    now += std::chrono::hours(24);
    EXPECT_EQ(rate.take(store::AccountId{1000}, 1), "");
    EXPECT_EQ(rate.counted(), 1u);
}

}  // namespace
}  // namespace pier::test
