#include "delivery/delivery.h"

#include <algorithm>
#include <future>
#include <regex>
#include <sstream>

#include <gtest/gtest.h>

#include "support/message_store.h"

namespace pier::delivery {
namespace {

constexpr Time noon{std::chrono::sys_days(std::chrono::year(2026) / 11 / 21) + std::chrono::hours(12)};

class DeliveryTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(directory.load());
        ASSERT_TRUE(directory.put_domain({"example.org"}));
        for (const char* name : {"ada", "bo", "cy"})
            ASSERT_TRUE(directory.add({name, "a password of some length", "", 0, false}));
        ASSERT_TRUE(directory.put_alias({"all@example.org", {"ada", "bo", "cy"}}));
        ASSERT_TRUE(directory.put_alias({"ab@example.org", {"ada", "bo"}}));
    }

    Accounts accounts(const std::string& local) { return delivery.resolve({local, "example.org"}).accounts; }

    std::unique_ptr<store::Spool> spool(const std::string& octets) {
        auto fresh = store.new_spool();
        EXPECT_TRUE(fresh->write(octets));
        return fresh;
    }

    std::vector<std::string> deliver(std::vector<Accounts> recipients, const std::string& octets = "Hi\r\n",
                                     Delivery* by = nullptr) {
        std::promise<std::vector<smtp::Reply>> promise;
        (by ? *by : delivery)
            .deliver(envelope, std::move(recipients), spool(octets),
                     [&](std::vector<smtp::Reply> replies) { promise.set_value(std::move(replies)); });
        std::vector<std::string> texts;
        for (const smtp::Reply& reply : promise.get_future().get())
            texts.push_back(std::to_string(reply.code) + " " + reply.enhanced);
        return texts;
    }

    std::vector<test::StoredMessage> inbox(const std::string& name) {
        return store.messages(directory.find(name)->id, "INBOX");
    }

    test::MessageStore store;
    auth::Directory directory{store};
    Delivery delivery{store, directory, {"mx.example.org", OverQuota::temporary}, [] { return noon; }};
    Envelope envelope{"client.example.com", "[192.0.2.1]", "LMTP", {"eve", "example.com"}, ""};
};

using Replies = std::vector<std::string>;

TEST_F(DeliveryTest, resolves_accounts_and_aliases) {
    EXPECT_EQ(delivery.resolve({"ada", "example.org"}).reply.code, 250);
    EXPECT_EQ(delivery.resolve({"all", "example.org"}).accounts.size(), 3U);
    const Resolved unknown = delivery.resolve({"nobody", "example.org"});
    EXPECT_TRUE(unknown.accounts.empty());
    EXPECT_EQ(unknown.reply.code, 550);
    EXPECT_EQ(unknown.reply.enhanced, "5.1.1");
    EXPECT_EQ(delivery.resolve({"ada", "elsewhere.example"}).reply.code,
              550);  // attack 32: nothing is relayed
}

TEST_F(DeliveryTest, disabled_accounts_still_receive) {
    auth::AccountChange change;
    change.disabled = true;
    ASSERT_TRUE(directory.change("ada", change));
    EXPECT_EQ(deliver({accounts("ada")}), Replies{"250 2.0.0"});
    EXPECT_EQ(inbox("ada").size(), 1U);
}

TEST_F(DeliveryTest, trace_fields_stand_in_front_of_the_message) {
    envelope.recipient = "ada@example.org";
    EXPECT_EQ(deliver({accounts("ada")}, "Subject: x\r\n\r\nHi\r\n"), Replies{"250 2.0.0"});
    const auto messages = inbox("ada");
    ASSERT_EQ(messages.size(), 1U);
    const std::regex expected(
        "Return-Path: <eve@example\\.com>\r\n"
        "Delivered-To: ada@example\\.org\r\n"
        "Received: from client\\.example\\.com \\(\\[192\\.0\\.2\\.1\\]\\)\r\n"
        "\tby mx\\.example\\.org \\(Pier\\) with LMTP id [A-Za-z0-9_-]{16}\r\n"
        "\tfor <ada@example\\.org>;\r\n"
        "\tSat, 21 Nov 2026 12:00:00 \\+0000\r\n"
        "Subject: x\r\n\r\nHi\r\n");
    EXPECT_TRUE(std::regex_match(messages[0].octets, expected)) << messages[0].octets;
    EXPECT_EQ(messages[0].internal_date, noon);
    EXPECT_EQ(messages[0].flags, 0U);
    EXPECT_EQ(messages[0].uidl, "");
}

TEST_F(DeliveryTest, trace_fields_of_a_local_command_with_the_null_sender) {
    const std::string fields = delivery.trace_fields({"", "", "local", {}, ""}, noon);
    EXPECT_TRUE(fields.starts_with("Return-Path: <>\r\nReceived: by mx.example.org (Pier) with local id "))
        << fields;
    EXPECT_TRUE(fields.ends_with(";\r\n\tSat, 21 Nov 2026 12:00:00 +0000\r\n")) << fields;
}

TEST_F(DeliveryTest, an_account_named_twice_gets_one_copy_and_each_recipient_a_reply) {
    EXPECT_EQ(deliver({accounts("ada"), accounts("all"), accounts("ada"), accounts("bo")}),
              Replies(4, "250 2.0.0"));
    for (const char* name : {"ada", "bo", "cy"})
        EXPECT_EQ(inbox(name).size(), 1U) << name;
}

TEST_F(DeliveryTest, quota_fails_only_its_account) {
    auth::AccountChange change;
    change.quota_octets = 10;
    ASSERT_TRUE(directory.change("bo", change));
    EXPECT_EQ(deliver({accounts("ada"), accounts("bo"), accounts("ab"), accounts("cy")}),
              (Replies{"250 2.0.0", "452 4.2.2", "452 4.2.2", "250 2.0.0"}));
    EXPECT_EQ(inbox("ada").size(), 1U);
    EXPECT_TRUE(inbox("bo").empty());

    Delivery permanent{store, directory, {"mx.example.org", OverQuota::permanent}, [] { return noon; }};
    EXPECT_EQ(deliver({accounts("bo")}, "Hi\r\n", &permanent), Replies{"552 5.2.2"});
}

TEST_F(DeliveryTest, store_failures_become_replies) {
    const std::pair<ErrorKind, const char*> table[] = {
        {ErrorKind::no_space, "452 4.3.1"},  {ErrorKind::stopped, "451 4.3.2"},
        {ErrorKind::busy, "451 4.3.2"},      {ErrorKind::io, "451 4.3.0"},
        {ErrorKind::corrupt, "451 4.3.0"},   {ErrorKind::not_found, "550 5.1.1"},
        {ErrorKind::over_quota, "452 4.2.2"}};
    for (const auto& [kind, reply] : table) {
        {
            const std::lock_guard lock(store.disk().mutex);
            store.disk().append_error_of_all = Error(kind, "cannot write /secret/path");
        }
        EXPECT_EQ(deliver({accounts("ada"), accounts("bo")}), Replies(2, reply)) << to_string(kind);
    }
    EXPECT_TRUE(inbox("ada").empty());
}

TEST_F(DeliveryTest, texts_name_no_file) {
    {
        const std::lock_guard lock(store.disk().mutex);
        store.disk().append_error_of_all = Error(ErrorKind::io, "cannot write /secret/path");
    }
    std::promise<std::vector<smtp::Reply>> promise;
    delivery.deliver(envelope, {accounts("ada")}, spool("Hi\r\n"),
                     [&](std::vector<smtp::Reply> replies) { promise.set_value(std::move(replies)); });
    EXPECT_EQ(promise.get_future().get().at(0).text.find("secret"), std::string::npos);
    EXPECT_EQ(delivery.spool_refusal(Error(ErrorKind::io, "cannot write /secret/path")).text.find("secret"),
              std::string::npos);
}

TEST_F(DeliveryTest, a_mailbox_that_vanished) {
    ASSERT_TRUE(directory.add({"di", "a password of some length", "", 0, false}));
    const Accounts di = accounts("di");
    const auto removed = directory.remove("di");
    ASSERT_TRUE(removed) << removed.error().text;
    EXPECT_EQ(deliver({di, accounts("bo")}), (Replies{"550 5.1.1", "250 2.0.0"}));
    EXPECT_EQ(deliver({Accounts{}}), Replies{"550 5.1.1"});
}

TEST_F(DeliveryTest, spool_refusals) {
    EXPECT_EQ(delivery.spool_refusal(Error(ErrorKind::invalid, "")).code, 552);
    EXPECT_EQ(delivery.spool_refusal(Error(ErrorKind::invalid, "")).enhanced, "5.3.4");
    EXPECT_EQ(delivery.spool_refusal(Error(ErrorKind::no_space, "")).code, 452);
    EXPECT_EQ(delivery.spool_refusal(Error(ErrorKind::io, "")).code, 451);
}

// ---- mail for elsewhere ----

// Keeps what it is given, as the real one does: with the message's own targets, both or neither.
class FakeQueue final : public queue::Intake {
  public:
    explicit FakeQueue(store::Store& store) : store_(store) {}

    void append(store::NewMessage message, queue::NewOutgoing outgoing,
                store::Done<std::vector<Result<store::Appended>>> done) override {
        if (full) return done(Error{ErrorKind::busy, "1000000 messages are in the queue"});
        const bool all_or_none = message.all_or_none;
        prefix = message.prefix;
        auto told = [this, all_or_none, outgoing = std::move(outgoing),
                     done = std::move(done)](Result<std::vector<Result<store::Appended>>> result) {
            const bool refused = !result || std::ranges::any_of(*result, [](const auto& r) { return !r; });
            if (result && (!all_or_none || !refused)) queued.push_back(outgoing);
            done(std::move(result));
        };
        if (message.targets.empty()) return told(std::vector<Result<store::Appended>>{});
        store_.append(std::move(message), std::move(told));
    }

    bool full = false;
    std::string prefix;
    std::vector<queue::NewOutgoing> queued;

  private:
    store::Store& store_;
};

class ElsewhereTest : public DeliveryTest {
  protected:
    void SetUp() override {
        DeliveryTest::SetUp();
        delivery.use_queue(&queue);
        queue::Outgoing zoe;
        zoe.recipient.address = {"zoe", "example.net"};
        zoe.recipient.notify = smtp::notify::never;
        zoe.sender = {"ada", "example.org"};
        envelope.outgoing = {zoe};
    }
    void fill_bo() {
        auth::AccountChange change;
        change.quota_octets = 10;
        ASSERT_TRUE(directory.change("bo", change));
    }

    FakeQueue queue{store};
};

TEST_F(ElsewhereTest, what_goes_elsewhere_is_queued_with_what_stays) {
    envelope.body_8bit = envelope.utf8 = envelope.require_tls = true;
    envelope.ret = smtp::Return::headers;
    envelope.id = "QQ314159";
    envelope.account = "ada";
    EXPECT_EQ(deliver({accounts("ada"), accounts("bo")}), Replies(3, "250 2.0.0"));
    EXPECT_EQ(inbox("bo").size(), 1U);
    ASSERT_EQ(queue.queued.size(), 1U);
    const queue::NewOutgoing& queued = queue.queued[0];
    EXPECT_EQ(queued.account, "ada");
    EXPECT_EQ(queued.envelope.sender.text(), "eve@example.com");
    EXPECT_TRUE(queued.envelope.body_8bit && queued.envelope.utf8 && queued.envelope.require_tls);
    EXPECT_EQ(queued.envelope.ret, smtp::Return::headers);
    EXPECT_EQ(queued.envelope.id, "QQ314159");
    ASSERT_EQ(queued.recipients.size(), 1U);
    EXPECT_EQ(queued.recipients[0].recipient.address.text(), "zoe@example.net");
    EXPECT_EQ(queued.recipients[0].recipient.notify, smtp::notify::never);
    EXPECT_EQ(queued.recipients[0].sender.text(), "ada@example.org");
}

TEST_F(ElsewhereTest, nobody_here_needs_to_get_it) {
    EXPECT_EQ(deliver({}), Replies{"250 2.0.0"});
    EXPECT_EQ(queue.queued.size(), 1U);
    // RFC 5321 §4.4: Return-Path is of messages that end here.
    EXPECT_TRUE(queue.prefix.starts_with("Received: from client.example.com")) << queue.prefix;
    EXPECT_EQ(deliver({accounts("ada")}), Replies(2, "250 2.0.0"));
    EXPECT_TRUE(queue.prefix.starts_with("Return-Path: <eve@example.com>\r\nReceived: ")) << queue.prefix;
}

TEST_F(ElsewhereTest, a_full_queue_takes_nothing_for_anybody) {
    queue.full = true;
    EXPECT_EQ(deliver({accounts("ada")}), Replies(2, "452 4.3.1"));
    EXPECT_TRUE(inbox("ada").empty());
}

TEST_F(ElsewhereTest, a_full_mailbox_holds_nobody_else_up) {
    fill_bo();
    EXPECT_EQ(deliver({accounts("ada"), accounts("bo")}), (Replies{"250 2.0.0", "452 4.2.2", "250 2.0.0"}));
    EXPECT_EQ(queue.queued.size(), 1U);
}

TEST_F(ElsewhereTest, with_all_or_none_one_failure_refuses_all) {
    fill_bo();
    envelope.all_or_none = true;
    const auto refuse_all = [&] {
        EXPECT_TRUE(inbox("ada").empty());
        EXPECT_TRUE(queue.queued.empty());
    };
    // The store in memory knows no all_or_none of targets: bo alone is enough.
    EXPECT_EQ(deliver({accounts("bo")}), Replies(2, "452 4.2.2"));
    refuse_all();
    EXPECT_EQ(deliver({accounts("ada"), {}}), Replies(3, "451 4.3.2"));
    refuse_all();
}

TEST_F(ElsewhereTest, without_a_queue_nothing_goes_elsewhere) {
    delivery.use_queue(nullptr);
    EXPECT_EQ(deliver({accounts("ada")}), Replies(2, "451 4.3.2"));
    EXPECT_TRUE(inbox("ada").empty());
}

// ---- spool_message ----

class TextSpool final : public store::Spool {
  public:
    Result<void> write(std::string_view octets) override {
        if (text.size() + octets.size() > octets_max) return Error(ErrorKind::invalid, "too large");
        text += octets;
        return {};
    }
    std::uint64_t octets() const override { return text.size(); }
    std::string text;
    std::size_t octets_max = 1 << 30;
};

std::string spooled(const std::string& input) {
    std::istringstream in(input);
    TextSpool spool;
    const auto result = spool_message(in, spool);
    return result ? spool.text : "error: " + std::string(to_string(result.error().kind));
}

TEST(SpoolMessage, makes_line_ends_crlf) {
    EXPECT_EQ(spooled("a\nb\r\nc\rd\n"), "a\r\nb\r\nc\rd\r\n");
    EXPECT_EQ(spooled("no end"), "no end\r\n");
    EXPECT_EQ(spooled("\n"), "\r\n");
}

TEST(SpoolMessage, leaves_out_the_from_line) {
    EXPECT_EQ(spooled("From eve Sat Nov 21 12:00:00 2026\nSubject: x\n"), "Subject: x\r\n");
    EXPECT_EQ(spooled("From: eve@example.com\n"), "From: eve@example.com\r\n");
    EXPECT_EQ(spooled("From " + std::string(200'000, 'x') + "\nSubject: x\n"), "Subject: x\r\n");
}

TEST(SpoolMessage, refuses_nothing_at_all) {
    EXPECT_EQ(spooled(""), "error: invalid");
    EXPECT_EQ(spooled("From eve Sat Nov 21 12:00:00 2026\n"), "error: invalid");
}

TEST(SpoolMessage, cuts_nothing_at_block_ends) {
    for (const std::size_t octets : {65535U, 65536U, 65537U, 131072U}) {
        EXPECT_EQ(spooled(std::string(octets - 1, 'x') + "\nend\n"),
                  std::string(octets - 1, 'x') + "\r\nend\r\n");
        EXPECT_EQ(spooled(std::string(octets - 1, 'x') + "\r\nend\n"),
                  std::string(octets - 1, 'x') + "\r\nend\r\n");
    }
}

TEST(SpoolMessage, tells_the_spools_failure) {
    std::istringstream in(std::string(200'000, 'x'));
    TextSpool spool;
    spool.octets_max = 100'000;
    const auto result = spool_message(in, spool);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::invalid);
}

}  // namespace
}  // namespace pier::delivery
