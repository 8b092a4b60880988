// What becomes of deleted and old mail, and what a session is shown, on a real store whose clock the test
// moves.
#include "maildrop/keeper.h"

#include <atomic>
#include <future>

#include <gtest/gtest.h>

#include "store/log/log_store.h"
#include "store/temporary_folder.h"
#include "store/wait.h"

namespace pier::maildrop {
namespace {

using std::chrono::days;
using std::chrono::hours;

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().text);
    return std::move(*result);
}

constexpr Time noon{std::chrono::sys_days(std::chrono::year(2026) / 11 / 21) + hours(12)};

class KeeperTest : public testing::Test {
  protected:
    void SetUp() override {
        store::LogStoreOptions options;
        options.folder = folder_.path();
        options.cleaner = false;
        options.clock = clock();
        store_ = must(store::open_log_store(std::move(options)));
        directory_ = std::make_unique<auth::Directory>(*store_);
        ASSERT_TRUE(directory_->load());
        account_ = must(directory_->add({"ada", "a password of some length", "", 0, false}));
    }

    Clock clock() {
        return [this] { return Time(std::chrono::microseconds(now_us_.load())); };
    }
    void set_clock(Time now) { now_us_ = now.time_since_epoch().count(); }
    Time now() { return clock()(); }

    Keeper keeper(const Policy& policy) { return {*store_, policy, clock()}; }
    Keeper hiding() { return keeper({.deleted = Deleted::hidden}); }

    // Into the INBOX, as mail of that date; its own UIDL if it has one.
    Result<store::Appended> try_deliver(const std::string& octets, std::optional<Time> date = {},
                                        const std::string& uidl = "", std::uint64_t quota = 0) {
        store::NewMessage message;
        message.spool = store_->new_spool();
        if (auto written = message.spool->write(octets); !written) return written.error();
        store::Target target;
        target.mailbox = account_->inbox;
        target.uidl = uidl;
        target.quota_octets = quota;
        message.targets.push_back(target);
        message.internal_date = date.value_or(now());
        return must(store::wait<std::vector<Result<store::Appended>>>(
                        [&](auto done) { store_->append(std::move(message), std::move(done)); }))
            .at(0);
    }
    store::Uid deliver(const std::string& octets, std::optional<Time> date = {},
                       const std::string& uidl = "") {
        return must(try_deliver(octets, date, uidl)).uid;
    }

    std::uint64_t remove(const Keeper& by, std::vector<store::Uid> uids) {
        return must(store::wait<std::uint64_t>(
            [&](auto done) { by.remove(*account_, std::move(uids), std::move(done)); }));
    }

    std::shared_ptr<const store::Snapshot> inbox() { return must(store_->open(account_->inbox)); }

    static std::vector<std::string> texts(const View& view) {
        std::vector<std::string> all;
        for (std::size_t i = 0; i < view.messages(); ++i) {
            auto body = must(view.body(i));
            std::string text(body->octets(), '\0');
            must(body->read(0, text, store::Wait::may_block));
            all.push_back(text.substr(0, text.find('\r')));
        }
        return all;
    }
    std::vector<std::string> in_inbox() { return texts(View(inbox())); }
    std::vector<std::string> mailboxes() {
        std::vector<std::string> names;
        for (const auto& mailbox : must(store_->mailboxes(account_->id)))
            names.push_back(mailbox.name);
        return names;
    }

    using Texts = std::vector<std::string>;

    test::TemporaryFolder folder_{test::TemporaryFolder::Where::in_memory};
    std::atomic<std::int64_t> now_us_ = noon.time_since_epoch().count();
    std::unique_ptr<store::LogStore> store_;
    std::unique_ptr<auth::Directory> directory_;
    auth::AccountPtr account_;
};

TEST_F(KeeperTest, RemovedMailIsGone) {
    const Keeper removing = keeper({});
    const auto one = deliver("one\r\n");
    deliver("two\r\n");
    EXPECT_EQ(remove(removing, {one}), 1u);
    EXPECT_EQ(in_inbox(), Texts{"two"});
    EXPECT_EQ(mailboxes(), Texts{"INBOX"});
    EXPECT_EQ(must(removing.undelete(*account_, Time())).messages, 0u);
}

TEST_F(KeeperTest, TrashedMailIsInTheTrashAndStillCounts) {
    const Keeper trashing = keeper({.deleted = Deleted::trash});
    const auto one = deliver("one\r\n");
    deliver("two\r\n");
    const std::string uidl = inbox()->uidl(0);
    EXPECT_EQ(remove(trashing, {one, 77}), 1u) << "one that is not there is passed over";
    EXPECT_EQ(in_inbox(), Texts{"two"});
    EXPECT_EQ(mailboxes(), (Texts{"INBOX", "Trash"}));
    const auto trash = must(store_->open(must(store_->mailboxes(account_->id)).at(1).id));
    EXPECT_EQ(texts(View(trash)), Texts{"one"});
    EXPECT_EQ(trash->uidl(0), uidl) << "it is the same message";
    EXPECT_EQ(must(store_->usage(account_->id)).messages, 2u);
}

TEST_F(KeeperTest, HiddenMailCountsForNothingAndComesBackWithAUidlOfItsOwn) {
    const auto one = deliver("one\r\n"), two = deliver("two\r\n", {}, "old-uidl");
    EXPECT_EQ(remove(hiding(), {one}), 1u);
    set_clock(noon + days(1));
    EXPECT_EQ(remove(hiding(), {two}), 1u);
    EXPECT_EQ(in_inbox(), Texts{});
    EXPECT_EQ(mailboxes(), (Texts{".removed/2026-11-21", ".removed/2026-11-22", "INBOX"}));
    EXPECT_EQ(must(store_->usage(account_->id)).octets, 0u);

    EXPECT_EQ(must(hiding().undeletable(*account_, noon + days(2))).messages, 0u);
    EXPECT_EQ(must(hiding().undeletable(*account_, noon)).octets, 10u);
    EXPECT_EQ(in_inbox(), Texts{}) << "that was only a question";
    EXPECT_EQ(must(hiding().undelete(*account_, noon + days(1))).messages, 1u);
    EXPECT_EQ(in_inbox(), Texts{"two"}) << "since the second day";
    EXPECT_NE(inbox()->uidl(0), "old-uidl") << "who has fetched it before would not do so again";
    EXPECT_EQ(must(hiding().undelete(*account_, noon)).messages, 1u);
    EXPECT_EQ(in_inbox(), (Texts{"two", "one"}));
    EXPECT_EQ(must(hiding().undelete(*account_, noon)).messages, 0u) << "all are back already";
    EXPECT_EQ(must(store_->usage(account_->id)).octets, 10u);
}

TEST_F(KeeperTest, AMoveUnderWayOutlivesItsKeeper) {
    const auto uid = deliver("one\r\n");
    std::promise<Result<std::uint64_t>> told;
    {
        const auto ending = std::make_unique<Keeper>(hiding());
        ending->remove(*account_, {uid}, [&](auto removed) { told.set_value(std::move(removed)); });
    }
    EXPECT_EQ(must(told.get_future().get()), 1u);
    EXPECT_EQ(must(hiding().undeletable(*account_, noon)).messages, 1u);
}

TEST_F(KeeperTest, TheQuotaIsFreeAgainWhenMailIsHidden) {
    const std::string large = std::string(800, 'x') + "\r\n";
    const auto uid = must(try_deliver(large, {}, "", 1000)).uid;
    const auto refused = try_deliver(large, {}, "", 1000);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::over_quota);
    EXPECT_EQ(remove(hiding(), {uid}), 1u);
    EXPECT_TRUE(try_deliver(large, {}, "", 1000)) << "the hidden one does not count";
    EXPECT_FALSE(try_deliver(large, {}, "", 1000));
}

TEST_F(KeeperTest, HiddenMailIsForgottenAfterItsDaysAndNotBefore) {
    const Keeper keeping = keeper({.deleted = Deleted::hidden, .hidden_days = 3});
    remove(keeping, {deliver("one\r\n"), deliver("two\r\n")});
    set_clock(noon + days(3));
    EXPECT_EQ(must(keeping.tidy(*account_)).forgotten, 0u);
    EXPECT_EQ(must(keeping.undeletable(*account_, noon)).messages, 2u);
    set_clock(noon + days(4));
    EXPECT_EQ(must(keeping.tidy(*account_)).forgotten, 2u);
    EXPECT_EQ(mailboxes(), Texts{"INBOX"});
    EXPECT_EQ(must(keeping.tidy(*account_)).forgotten, 0u);
}

TEST_F(KeeperTest, MailExpiresByTheDayOnWhichItCameIn) {
    const Keeper expiring = keeper({.expire_days = 10});
    deliver("first\r\n");
    set_clock(noon + days(5));
    deliver("imported, of long ago\r\n", noon - days(1000));
    set_clock(noon + days(9));
    EXPECT_EQ(must(expiring.tidy(*account_)).expired, 0u);
    set_clock(noon + days(10) + hours(1));
    EXPECT_EQ(must(expiring.tidy(*account_)).expired, 1u);
    EXPECT_EQ(in_inbox(), Texts{"imported, of long ago"});
    set_clock(noon + days(15) + hours(1));
    EXPECT_EQ(must(expiring.tidy(*account_)).expired, 1u);
    EXPECT_EQ(in_inbox(), Texts{});
    EXPECT_EQ(must(keeper({}).tidy(*account_)).expired, 0u);
}

TEST_F(KeeperTest, ExpiredMailIsHiddenWhereDeletedMailIs) {
    deliver("first\r\n");
    set_clock(noon + days(11));
    EXPECT_EQ(must(keeper({.deleted = Deleted::hidden, .expire_days = 10}).tidy(*account_)).expired, 1u);
    EXPECT_EQ(must(hiding().undelete(*account_, now())).messages, 1u);
    EXPECT_EQ(in_inbox(), Texts{"first"});
    EXPECT_EQ(must(keeper({.deleted = Deleted::trash, .expire_days = 10}).tidy(*account_)).expired, 0u)
        << "what was brought back has just come in";
}

TEST_F(KeeperTest, TheLastDaysAndTheLastMessagesAreShown) {
    deliver("old\r\n");
    set_clock(noon + days(30));
    deliver("imported, of long ago\r\n", noon - days(1000));
    deliver("three\r\n");
    deliver("four\r\n");
    const auto last = [&](Policy policy) { return View::last(inbox(), policy, now()); };
    EXPECT_EQ(last({}).messages(), 4u);
    EXPECT_EQ(texts(last({.show_days = 7})), (Texts{"three", "four"}));
    EXPECT_EQ(texts(last({.show_messages = 3})), (Texts{"imported, of long ago", "three", "four"}));
    EXPECT_EQ(texts(last({.show_days = 7, .show_messages = 1})), Texts{"four"});
    EXPECT_EQ(last({.show_messages = 4}).messages(), 4u);
    const View one = last({.show_days = 7, .show_messages = 1});
    EXPECT_EQ(one.octets(), 6u);
    EXPECT_EQ(one.inbox_uids({0}), std::vector<store::Uid>{4});
    std::string uidl;
    one.append_uidl(0, uidl);
    EXPECT_EQ(uidl, inbox()->uidl(3));
    set_clock(noon + days(300));
    EXPECT_EQ(last({.show_days = 7}).messages(), 0u);
    EXPECT_EQ(last({.show_days = 7}).octets(), 0u);
}

TEST_F(KeeperTest, RecentShowsWhatWasDeletedMeanwhileInTheOrderInWhichItCame) {
    deliver("too old\r\n");
    set_clock(noon + days(60));
    const auto one = deliver("one\r\n");
    deliver("two\r\n");
    const auto three = deliver("three\r\n");
    const std::string uidl = inbox()->uidl(1);
    remove(hiding(), {three});
    set_clock(noon + days(61));
    remove(hiding(), {one});
    const View recent = must(hiding().recent(*account_));
    EXPECT_EQ(texts(recent), (Texts{"one", "two", "three"}));
    EXPECT_EQ(recent.octets(), 17u);
    std::string shown;
    recent.append_uidl(0, shown);
    EXPECT_EQ(shown, uidl) << "a device that knows it does not fetch it again";
    EXPECT_EQ(recent.inbox_uids({0, 1, 2}), std::vector<store::Uid>{3}) << "the others are deleted already";
    set_clock(noon + days(100));
    EXPECT_EQ(must(hiding().recent(*account_)).messages(), 0u);
}

TEST(MaildropPolicy, NamesOfMailboxesAndLogins) {
    EXPECT_EQ(hidden_mailbox(noon), ".removed/2026-11-21");
    EXPECT_EQ(hidden_on(".removed/2026-11-21"), noon - hours(12));
    for (const char* other : {"INBOX", "Trash", ".removed", ".removed/", ".removed/2026-13-01",
                              ".removed/2026-02-30", ".removed/2026-11-21x", "removed/2026-11-21"})
        EXPECT_FALSE(hidden_on(other)) << other;
    EXPECT_EQ(split_recent("recent:ada").user, "ada");
    EXPECT_TRUE(split_recent("Recent:ada*root").recent);
    EXPECT_EQ(split_recent("recent").user, "recent");
    EXPECT_FALSE(split_recent("ada").recent);
}

}  // namespace
}  // namespace pier::maildrop
