// Mail that goes on to other servers, the quotas of domains, and how a message for many is kept.
#include <filesystem>
#include <future>

#include <gtest/gtest.h>

#include "delivery/routing.h"
#include "store/log/log_store.h"
#include "store/wait.h"
#include "support/message_store.h"

namespace pier::delivery {
namespace {

constexpr Time noon{std::chrono::sys_days(std::chrono::year(2026) / 11 / 21) + std::chrono::hours(12)};

// Keeps what it is given for elsewhere; what is for here goes to the store.
class FakeQueue final : public queue::Intake {
  public:
    explicit FakeQueue(store::Store& store) : store_(store) {}
    void append(store::NewMessage message, queue::NewOutgoing outgoing,
                store::Done<std::vector<Result<store::Appended>>> done) override {
        queued.push_back(std::move(outgoing));
        if (message.targets.empty()) return done(std::vector<Result<store::Appended>>{});
        store_.append(std::move(message), std::move(done));
    }
    std::vector<queue::NewOutgoing> queued;

  private:
    store::Store& store_;
};

class ForwardingTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(directory.load());
        ASSERT_TRUE(directory.put_domain({"example.org"}));
        for (const char* name : {"ada", "bo@example.org", "cy@example.org"})
            ASSERT_TRUE(
                directory.add({.name = name, .password_scheme = "{SHA}0vxRJJChUDZGC1SJQBQ51tpUB/o="}));
        ASSERT_TRUE(directory.put_alias({"out@example.org", {"zoe@example.net"}}));
        ASSERT_TRUE(directory.put_alias({"all@example.org", {"ada", "out@example.org", "zoe@example.net"}}));
        delivery.use_queue(&queue);
    }

    std::string code(const std::string& local, const std::string& domain = "example.org") {
        const auto reply = delivery.resolve({local, domain}).reply;
        return std::to_string(reply.code) + " " + reply.enhanced;
    }

    // The message's way to `recipients`, and what they are told.
    std::vector<std::string> deliver(const std::vector<std::string>& recipients,
                                     const std::string& octets = "Hi\r\n") {
        Routing routing;
        envelope.outgoing.clear();
        for (const auto& local : recipients) {
            const smtp::Envelope::Recipient recipient{{local, "example.org"}, 0, {}};
            delivery.route(recipient, delivery.resolve(recipient.address), envelope, routing);
        }
        auto spool = store.new_spool();
        EXPECT_TRUE(spool->write(octets));
        std::promise<std::vector<smtp::Reply>> promise;
        delivery.deliver(envelope, routing.take_accounts(), std::move(spool),
                         [&](std::vector<smtp::Reply> replies) { promise.set_value(std::move(replies)); });
        std::vector<std::string> out;
        for (const auto& reply : routing.replies(promise.get_future().get()))
            out.push_back(std::to_string(reply.code) + " " + reply.enhanced);
        return out;
    }
    // What the queue is to do when the message has gone to ada with that NOTIFY.
    std::vector<queue::Outgoing> queued_for_ada(std::uint8_t notify, const smtp::Address& sender) {
        Routing routing;
        envelope.outgoing.clear();
        envelope.sender = sender;
        const smtp::Envelope::Recipient recipient{{"ada", "example.org"}, notify, {}};
        delivery.route(recipient, delivery.resolve(recipient.address), envelope, routing);
        return envelope.outgoing;
    }
    std::size_t mail_of(const std::string& name) {
        return store.messages(directory.find(name)->id, "INBOX").size();
    }

    test::MessageStore store;
    auth::Directory directory{store};
    Time now = noon;
    Delivery delivery{store, directory, {"mx.example.org", OverQuota::temporary}, [this] { return now; }};
    FakeQueue queue{store};
    Envelope envelope{"client.example.com", "[192.0.2.1]", "SMTP", {"eve", "example.com"}, ""};
};

using Replies = std::vector<std::string>;

TEST_F(ForwardingTest, a_report_of_success_is_asked_of_the_queue) {
    const smtp::Address eve{"eve", "example.com"};
    const auto asked = queued_for_ada(smtp::notify::success | smtp::notify::failure, eve);
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_TRUE(asked[0].delivered_here);
    EXPECT_EQ(asked[0].recipient.address.text(), "ada@example.org");
    EXPECT_EQ(asked[0].sender, eve);
    EXPECT_TRUE(queued_for_ada(smtp::notify::success, {}).empty()) << "there is nobody to tell";
    EXPECT_TRUE(queued_for_ada(smtp::notify::failure, eve).empty());
    EXPECT_TRUE(queued_for_ada(smtp::notify::never, eve).empty());
    EXPECT_TRUE(queued_for_ada(0, eve).empty());
}

TEST_F(ForwardingTest, mail_for_an_alias_elsewhere_is_queued_under_a_sender_of_ours) {
    EXPECT_EQ(deliver({"out"}), Replies{"250 2.0.0"});
    ASSERT_EQ(queue.queued.size(), 1U);
    ASSERT_EQ(queue.queued[0].recipients.size(), 1U);
    const queue::Outgoing& zoe = queue.queued[0].recipients[0];
    EXPECT_EQ(zoe.recipient.address.text(), "zoe@example.net");
    EXPECT_EQ(zoe.sender.domain, "example.org");
    EXPECT_TRUE(zoe.sender.local.starts_with("SRS0=")) << zoe.sender.text();
    EXPECT_EQ(queue.queued[0].envelope.sender.text(), "eve@example.com");
}

TEST_F(ForwardingTest, what_stays_and_what_goes_on_have_one_reply_each) {
    EXPECT_EQ(deliver({"all", "cy", "out", "ada"}), Replies(4, "250 2.0.0"));
    EXPECT_EQ(mail_of("ada"), 1U);
    EXPECT_EQ(mail_of("cy@example.org"), 1U);
    ASSERT_EQ(queue.queued.size(), 1U);
    EXPECT_EQ(queue.queued[0].recipients.size(), 1U) << "Zoe gets it once";
}

TEST_F(ForwardingTest, a_sender_of_ours_and_the_null_sender_stay) {
    for (const smtp::Address& sender :
         {smtp::Address{}, smtp::Address{"ada", "example.org"}, smtp::Address{"x", "EXAMPLE.ORG"}}) {
        envelope.sender = sender;
        (void)deliver({"out"});
        EXPECT_EQ(queue.queued.back().recipients.at(0).sender, sender);
    }
    envelope.sender = {"eve", "example.com"};
    envelope.account = "ada";  // who has submitted it with a sender that he may use
    (void)deliver({"out"});
    EXPECT_EQ(queue.queued.back().recipients.at(0).sender.text(), "eve@example.com");
}

TEST_F(ForwardingTest, a_bounce_finds_its_way_back) {
    (void)deliver({"out"});
    const std::string ours = queue.queued[0].recipients.at(0).sender.local;
    const Resolved back = delivery.resolve({ours, "example.org"});
    EXPECT_EQ(back.reply.code, 250);
    EXPECT_TRUE(back.accounts.empty());
    ASSERT_EQ(back.elsewhere.size(), 1U);
    EXPECT_EQ(back.elsewhere[0].text(), "eve@example.com");
    envelope.sender = {"mailer", "example.net"};  // whatever it says
    EXPECT_EQ(deliver({ours}), Replies{"250 2.0.0"});
    EXPECT_EQ(queue.queued[1].recipients.at(0).recipient.address.text(), "eve@example.com");
    EXPECT_TRUE(queue.queued[1].recipients.at(0).sender.empty());

    now = noon + std::chrono::hours(24 * 21);
    EXPECT_EQ(code(ours), "250 2.1.5");
    now = noon + std::chrono::hours(24 * 22);
    EXPECT_EQ(code(ours), "550 5.1.1");
    // Attack: nothing is relayed for who makes such an address himself.
    now = noon;
    EXPECT_EQ(code("SRS0=aaaaaaaa=aa=example.com=eve"), "550 5.1.1");
    EXPECT_EQ(code(ours, "elsewhere.example"), "550 5.7.1");
}

TEST_F(ForwardingTest, a_catch_all_does_not_get_bad_bounces) {
    ASSERT_TRUE(directory.put_alias({"@example.org", {"ada"}}));
    EXPECT_EQ(code("SRS0=aaaaaaaa=aa=example.com=eve"), "550 5.1.1");
    EXPECT_EQ(code("SRS0"), "250 2.1.5");
}

TEST_F(ForwardingTest, senders_may_have_a_domain_of_their_own) {
    Delivery other{store, directory, {"mx.example.org", OverQuota::temporary, "", "srs.example.org"}, [] {
                       return noon;
                   }};
    other.use_queue(&queue);
    Routing routing;
    const smtp::Envelope::Recipient out{{"out", "example.org"}, 0, {}};
    other.route(out, other.resolve(out.address), envelope, routing);
    const smtp::Address sender = envelope.outgoing.at(0).sender;
    EXPECT_EQ(sender.domain, "srs.example.org");
    EXPECT_EQ(other.resolve(sender).elsewhere.at(0).text(), "eve@example.com");
    EXPECT_EQ(other.resolve({"postmaster", "srs.example.org"}).reply.code, 550);
}

TEST_F(ForwardingTest, an_account_forwards) {
    auth::AccountChange change;
    change.forward = {"zoe@example.net"};
    change.keep_copy = true;
    ASSERT_TRUE(directory.change("ada", change));
    EXPECT_EQ(deliver({"ada"}), Replies{"250 2.0.0"});
    EXPECT_EQ(mail_of("ada"), 1U);
    change.keep_copy = false;
    ASSERT_TRUE(directory.change("ada", change));
    EXPECT_EQ(deliver({"ada"}), Replies{"250 2.0.0"});
    EXPECT_EQ(mail_of("ada"), 1U);
    EXPECT_EQ(queue.queued.size(), 2U);
}

TEST_F(ForwardingTest, without_a_queue_it_waits_elsewhere) {
    delivery.use_queue(nullptr);
    EXPECT_EQ(code("out"), "451 4.3.2");
    EXPECT_EQ(code("all"), "451 4.3.2");
    EXPECT_EQ(code("ada"), "250 2.1.5");
}

TEST_F(ForwardingTest, what_comes_back_to_who_forwarded_it_stops) {
    Routing routing;
    const smtp::Envelope::Recipient out{{"out", "example.org"}, 0, {}}, ada{{"ada", "example.org"}, 0, {}};
    for (const auto& recipient : {ada, out})
        delivery.route(recipient, delivery.resolve(recipient.address), envelope, routing);
    const auto refusal = [&](const std::string& address) {
        IncomingHeader header;
        (void)header.feed("Delivered-To: " + address + "\r\n\r\n");
        const auto reply = routing.loop_refusal(header);
        return reply ? reply->enhanced : "";
    };
    EXPECT_EQ(refusal("Out@example.org"), "5.4.6");
    EXPECT_EQ(refusal("ada@example.org"), "") << "he forwards nothing: a list may have sent it to him again";
    EXPECT_EQ(refusal("zoe@example.net"), "");
}

// ---- quotas of domains ----

class DomainQuotaTest : public ForwardingTest {
  protected:
    void SetUp() override {
        ForwardingTest::SetUp();
        auth::DomainChange change;
        change.quota_octets = 3000;
        ASSERT_TRUE(directory.change_domain("example.org", change));
    }
    Accounts accounts(const std::string& name) { return {directory.find(name)}; }
    std::string room(const std::string& name, std::uint64_t octets) {
        const auto refusal = delivery.room_refusal(accounts(name), octets);
        return refusal ? std::to_string(refusal->code) : "room";
    }
    const std::string kilobyte = std::string(998, 'x') + "\r\n";
};

TEST_F(DomainQuotaTest, it_counts_all_accounts_of_the_domain) {
    EXPECT_TRUE(delivery.has_domain_quota(accounts("bo@example.org")));
    EXPECT_FALSE(delivery.has_domain_quota(accounts("ada"))) << "an account without a domain is in none";
    EXPECT_EQ(room("bo@example.org", 2999), "room");
    EXPECT_EQ(room("bo@example.org", 3000), "room");
    EXPECT_EQ(room("bo@example.org", 3001), "452");
    EXPECT_EQ(deliver({"bo"}, kilobyte), Replies{"250 2.0.0"});
    EXPECT_EQ(room("cy@example.org", 2001), "452");
    EXPECT_EQ(room("cy@example.org", 0), "room");
    EXPECT_EQ(room("ada", 1 << 20), "room");
    EXPECT_EQ(deliver({"cy", "bo", "ada"}, kilobyte), Replies(3, "250 2.0.0"));
    EXPECT_EQ(room("cy@example.org", 0), "452");
}

// What the sender has declared may be less than what comes.
TEST_F(DomainQuotaTest, it_is_looked_at_again_when_the_message_is_there) {
    EXPECT_EQ(room("bo@example.org", 0), "room");
    EXPECT_EQ(deliver({"bo"}, kilobyte + kilobyte), Replies{"250 2.0.0"});
    EXPECT_EQ(deliver({"cy", "ada"}, kilobyte + kilobyte), (Replies{"452 4.2.2", "250 2.0.0"}));
    EXPECT_EQ(mail_of("cy@example.org"), 0U);
    envelope.all_or_none = true;
    EXPECT_EQ(deliver({"cy", "ada"}, kilobyte + kilobyte), Replies(2, "452 4.2.2"));
    EXPECT_EQ(mail_of("ada"), 1U);
    // Two copies of which only one has room.
    envelope.all_or_none = false;
    EXPECT_EQ(deliver({"bo", "cy"}, kilobyte.substr(400)), (Replies{"250 2.0.0", "452 4.2.2"}));
}

TEST_F(DomainQuotaTest, removed_mail_makes_room_within_half_a_minute) {
    EXPECT_EQ(room("bo@example.org", 0), "room");
    EXPECT_EQ(deliver({"bo", "cy"}, kilobyte + std::string(498, 'x') + "\r\n"), Replies(2, "250 2.0.0"));
    EXPECT_EQ(room("bo@example.org", 0), "452");
    const auto removed = store::wait<std::uint64_t>(
        [&](auto done) { store.expunge(directory.find("bo@example.org")->inbox, {1}, std::move(done)); });
    ASSERT_TRUE(removed && *removed == 1);
    now = noon + DomainRoom::counted_for - std::chrono::seconds(1);
    EXPECT_EQ(room("bo@example.org", 0), "452");
    now = noon + DomainRoom::counted_for;
    EXPECT_EQ(room("bo@example.org", 0), "room");
}

// ---- what a filter has marked ----

TEST_F(ForwardingTest, spam_goes_to_junk_which_is_made_for_it) {
    envelope.junk = true;
    envelope.added_fields = "X-Spam: Yes\r\n";
    for (int round = 1; round <= 2; ++round) {
        EXPECT_EQ(deliver({"cy", "ada", "cy"}), Replies(3, "250 2.0.0"));
        for (const char* name : {"ada", "cy@example.org"}) {
            EXPECT_EQ(mail_of(name), 0U);
            const auto junk = store.messages(directory.find(name)->id, "Junk");
            ASSERT_EQ(junk.size(), static_cast<std::size_t>(round));
            EXPECT_TRUE(
                junk[0].octets.starts_with("Return-Path: <eve@example.com>\r\nX-Spam: Yes\r\nReceived: "))
                << junk[0].octets;
        }
    }
    EXPECT_EQ(deliver({"out"}), Replies{"250 2.0.0"});
    EXPECT_EQ(queue.queued.size(), 1U);
}

// ---- one message for many ----

TEST(OneForMany, a_message_for_a_thousand_is_stored_once) {
    std::string folder = (std::filesystem::temp_directory_path() / "pier-one-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    constexpr std::size_t many = 1000, octets = 1 << 20;
    {
        store::LogStoreOptions options;
        options.folder = folder;
        auto opened = store::open_log_store(std::move(options));
        ASSERT_TRUE(opened) << opened.error().text;
        store::Store& store = **opened;
        auth::Directory directory(store);
        ASSERT_TRUE(directory.load());
        Delivery delivery{store, directory, {"mx.example.org", OverQuota::temporary}, [] { return noon; }};

        std::vector<Accounts> recipients(many);
        std::vector<std::promise<store::MailboxId>> inboxes(many);
        for (std::size_t i = 0; i < many; ++i)
            store.create_mailbox(store::AccountId{1000 + i}, "INBOX", [&inboxes, i](auto made) {
                inboxes[i].set_value(made ? *made : store::MailboxId{});
            });
        for (std::size_t i = 0; i < many; ++i) {
            auto account = std::make_shared<auth::Account>();
            account->id = store::AccountId{1000 + i};
            account->inbox = inboxes[i].get_future().get();
            ASSERT_NE(account->inbox, store::MailboxId{});
            recipients[i] = {account};
        }
        const auto before = store.stats();
        auto spool = store.new_spool();
        for (std::size_t i = 0; i < octets / 1024; ++i)
            ASSERT_TRUE(spool->write(std::string(1022, 'x') + "\r\n"));
        std::promise<std::vector<smtp::Reply>> promise;
        delivery.deliver({}, recipients, std::move(spool),
                         [&](std::vector<smtp::Reply> replies) { promise.set_value(std::move(replies)); });
        const auto replies = promise.get_future().get();
        ASSERT_EQ(replies.size(), many);
        for (const auto& reply : replies)
            EXPECT_EQ(reply.code, 250);
        const auto after = store.stats();
        EXPECT_EQ(after.messages - before.messages, many);
        const std::uint64_t grown = after.segment_octets - before.segment_octets;
        EXPECT_GE(grown, octets);
        EXPECT_LT(grown, octets + many * 200) << "the octets once, and a line for each mailbox";
        for (const std::size_t i : {std::size_t{0}, many - 1})
            EXPECT_GE(store.usage(recipients[i][0]->id)->octets, octets) << "each has all of it";
    }
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace pier::delivery
