// The round over all accounts, on a real store and with a clock that the test moves.
#include "main/housekeeping.h"

#include <future>

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include "store/log/log_store.h"
#include "store/temporary_folder.h"
#include "store/wait.h"

namespace pier::program {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class HousekeepingTest : public testing::Test {
  protected:
    void SetUp() override {
        store::LogStoreOptions options;
        options.folder = folder_.path();
        options.cleaner = false;
        auto store = store::open_log_store(std::move(options));
        ASSERT_TRUE(store) << store.error().text;
        store_ = std::move(*store);
        directory_ = std::make_unique<auth::Directory>(*store_);
        ASSERT_TRUE(directory_->load());
        for (const auto* name : {"ada", "grace"})
            ASSERT_TRUE(directory_->add({.name = name}));
        keeper_ = std::make_unique<maildrop::Keeper>(*store_, maildrop::Policy{.expire_days = 10},
                                                     [this] { return now_; });
        housekeeping_ = std::make_unique<Housekeeping>(*directory_, *keeper_, pool_, [this] { return now_; });
    }
    void TearDown() override { pool_.join(); }

    void deliver(const std::string& name) {
        store::NewMessage message;
        message.spool = store_->new_spool();
        ASSERT_TRUE(message.spool->write("one\r\n"));
        store::Target target;
        target.mailbox = directory_->find(name)->inbox;
        message.targets.push_back(target);
        message.internal_date = now_;
        ASSERT_TRUE(store::wait<std::vector<Result<store::Appended>>>(
            [&](auto done) { store_->append(std::move(message), std::move(done)); }));
    }
    std::uint64_t messages(const std::string& name) {
        return store_->usage(directory_->find(name)->id)->messages;
    }
    // A round that has begun is over behind what is posted after it: the pool has one thread.
    void tick_after(std::chrono::microseconds time) {
        now_ += time;
        housekeeping_->tick();
        std::promise<void> behind;
        boost::asio::post(pool_, [&] { behind.set_value(); });
        behind.get_future().get();
    }

    test::TemporaryFolder folder_{test::TemporaryFolder::Where::in_memory};
    Time now_ = system_now();
    boost::asio::thread_pool pool_{1};
    std::unique_ptr<store::LogStore> store_;
    std::unique_ptr<auth::Directory> directory_;
    std::unique_ptr<maildrop::Keeper> keeper_;
    std::unique_ptr<Housekeeping> housekeeping_;
};

TEST_F(HousekeepingTest, VisitsEveryAccountEverySixHours) {
    for (const auto* name : {"ada", "grace"})
        deliver(name);
    tick_after(minutes(1) - seconds(1));
    tick_after(seconds(1));
    EXPECT_EQ(messages("ada"), 1u) << "not due yet";
    tick_after(days(10));
    EXPECT_EQ(messages("ada"), 0u);
    EXPECT_EQ(messages("grace"), 0u);

    deliver("ada");
    now_ += days(10);
    housekeeping_->stop();
    tick_after(hours(6));
    EXPECT_EQ(messages("ada"), 1u) << "nothing more is done once it has been stopped";
}

TEST_F(HousekeepingTest, RestsBetweenTheRounds) {
    tick_after(minutes(1));
    deliver("ada");
    // What has expired by the keeper's clock is still there until the round comes.
    const maildrop::Keeper impatient(*store_, maildrop::Policy{.expire_days = 10},
                                     [this] { return now_ + days(10); });
    Housekeeping resting(*directory_, impatient, pool_, [this] { return now_; });
    resting.tick();
    EXPECT_EQ(messages("ada"), 1u) << "the first comes a minute after the start";
    now_ += minutes(1);
    resting.tick();
    std::promise<void> behind;
    boost::asio::post(pool_, [&] { behind.set_value(); });
    behind.get_future().get();
    EXPECT_EQ(messages("ada"), 0u);
    deliver("ada");
    now_ += hours(6) - seconds(1);
    resting.tick();
    EXPECT_EQ(messages("ada"), 1u);
}

}  // namespace
}  // namespace pier::program
