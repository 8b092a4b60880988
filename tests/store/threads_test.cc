// Many threads on one store, with the cleaner at work: run under the thread sanitizer too.
#include <atomic>
#include <map>
#include <thread>

#include <gtest/gtest.h>

#include "store/log_bench.h"
#include "store/store_calls.h"

namespace pier::test {
namespace {

using namespace store;

constexpr int threads_count = 4;
constexpr int rounds = 60;

// A maildrop of which one thread alone knows what must be in it, while it also reads a mailbox that all
// change.
class Owner {
  public:
    Owner(LogStore& store, MailboxId own, MailboxId trash, MailboxId shared, unsigned number)
        : store_(store), own_(own), trash_(trash), shared_(shared), number_(number), random_(number) {}

    void live() {
        for (int round = 0; round < rounds && !::testing::Test::HasFailure(); ++round) {
            change_own();
            change_shared();
            if (round % 5 == 0) check_own();
            read_shared();
        }
        check_own();
    }
    int shared_appended = 0;

  private:
    std::string new_body() {
        return "thread " + std::to_string(number_) + " message " + std::to_string(++counter_) +
               std::string(random_() % 3'000, 'x');
    }

    void change_own() {
        const auto choice = random_() % 10;
        if (choice < 6 || expected_.empty()) {
            const std::string body = new_body();
            const auto appended = append(store_, {body}, to(own_));
            ASSERT_TRUE(appended) << appended.error().text;
            ASSERT_GT(appended->uid, last_uid_);
            last_uid_ = appended->uid;
            expected_[appended->uid] = body;
            return;
        }
        const auto victim =
            std::next(expected_.begin(), static_cast<std::ptrdiff_t>(random_() % expected_.size()));
        if (choice == 6) {
            ASSERT_TRUE(set_flags(store_, own_, {{victim->first, random_()}}));
            return;
        }
        if (choice < 9) {
            ASSERT_EQ(*expunge(store_, own_, {victim->first}), 1u);
        } else {
            const auto moved = copy(store_, own_, {victim->first}, trash_, Store::Source::remove);
            ASSERT_TRUE(moved);
            ASSERT_NE(moved->at(0), 0u);
        }
        expected_.erase(victim);
    }

    void change_shared() {
        ASSERT_TRUE(append(store_, {new_body()}, to(shared_)));
        ++shared_appended;
        const auto snapshot = store_.open(shared_);
        ASSERT_TRUE(snapshot);
        const auto entries = (*snapshot)->entries();
        // Several threads may go for the same one: only one of them removes it.
        if (entries.size() > 20) {
            const auto removed = expunge(store_, shared_, {entries[random_() % entries.size()].uid});
            ASSERT_TRUE(removed);
            shared_appended -= static_cast<int>(*removed);
        }
    }

    void check_own() {
        const auto snapshot = store_.open(own_);
        ASSERT_TRUE(snapshot) << snapshot.error().text;
        ASSERT_EQ((*snapshot)->entries().size(), expected_.size());
        std::size_t index = 0;
        for (const auto& [uid, body] : expected_) {
            ASSERT_EQ((*snapshot)->entries()[index].uid, uid);
            const auto read = read_body(**snapshot, index++);
            ASSERT_TRUE(read) << read.error().text;
            ASSERT_EQ(*read, body);
        }
    }

    // Whatever the others remove and the cleaner moves: a snapshot is readable to its end.
    void read_shared() {
        const auto snapshot = store_.open(shared_);
        ASSERT_TRUE(snapshot) << snapshot.error().text;
        Uid last = 0;
        std::uint64_t octets = 0;
        const auto entries = (*snapshot)->entries();
        for (std::size_t i = 0; i < entries.size(); ++i) {
            ASSERT_GT(entries[i].uid, last);
            last = entries[i].uid;
            octets += entries[i].octets;
            const auto read = read_body(**snapshot, i);
            ASSERT_TRUE(read) << read.error().text;
            ASSERT_EQ(read->size(), entries[i].octets);
            ASSERT_EQ(read->substr(0, 7), "thread ");
            static_cast<void>((*snapshot)->details(i));
        }
        ASSERT_EQ((*snapshot)->octets(), octets);
    }

    LogStore& store_;
    const MailboxId own_, trash_, shared_;
    const unsigned number_;
    std::mt19937_64 random_;
    std::uint64_t counter_ = 0;
    Uid last_uid_ = 0;
    std::map<Uid, std::string> expected_;
};

TEST(ThreadsTest, ManyThreadsAndTheCleanerOnOneStore) {
    LogBench bench;
    auto options = bench.options();
    options.cleaner = true;
    options.listing_cache_octets = 4 << 10;  // so small that it is full at times
    auto opened = open_log_store(options);
    ASSERT_TRUE(opened);
    LogStore& store = **opened;
    const auto shared = create_mailbox(store, AccountId{1'000}, "INBOX");
    std::vector<Owner> owners;
    for (unsigned i = 0; i < threads_count; ++i) {
        const AccountId account{i + 1};
        owners.emplace_back(store, *create_mailbox(store, account, "INBOX"),
                            *create_mailbox(store, account, "Trash"), *shared, i);
    }
    std::atomic<bool> done = false;
    std::thread cleaner([&] {
        while (!done) {
            const auto cleaned = store.clean(done);
            EXPECT_TRUE(cleaned) << cleaned.error().text;
        }
    });
    std::thread onlooker([&] {
        while (!done) {
            EXPECT_LE(store.stats().mailboxes, 1u + 2 * threads_count);
            EXPECT_TRUE(store.usage(AccountId{1}));
            EXPECT_TRUE(store.mailboxes(AccountId{1}));
            EXPECT_FALSE(store.failed());
        }
    });
    std::vector<std::thread> threads;
    for (Owner& owner : owners)
        threads.emplace_back([&owner] { owner.live(); });
    for (std::thread& thread : threads)
        thread.join();
    done = true;
    cleaner.join();
    onlooker.join();
    int expected = 0;
    for (const Owner& owner : owners)
        expected += owner.shared_appended;
    EXPECT_EQ((*store.open(*shared))->entries().size(), static_cast<std::size_t>(expected));
    const Stats stats = store.stats();
    EXPECT_GT(stats.cleaned_segments, 0u);
    const auto dump = store.dump_index();
    *opened = nullptr;
    ASSERT_TRUE(rebuild_log_store(bench.options(), {}));
    EXPECT_EQ(difference(without_dead_since(dump), without_dead_since((*bench.open())->dump_index())), "");
}

// Whoever closes the store while others still wait for answers: each gets one.
TEST(ThreadsTest, ClosingAnswersEveryone) {
    for (int round = 0; round < 20; ++round) {
        LogBench bench;
        auto store = *bench.open();
        const auto box = create_mailbox(*store, AccountId{1}, "INBOX");
        std::atomic<int> asked = 0, answered = 0;
        std::vector<std::thread> threads;
        for (int i = 0; i < threads_count; ++i)
            threads.emplace_back([&] {
                for (int n = 0; n < 10; ++n) {
                    ++asked;
                    auto message = spooled(*store, {"x"}, {to(*box)});
                    store->append(std::move(*message), [&](auto) { ++answered; });
                    ++asked;
                    store->expunge(*box, {1}, [&](auto) { ++answered; });
                }
            });
        for (std::thread& thread : threads)
            thread.join();
        store = nullptr;
        EXPECT_EQ(answered, asked);
    }
}

}  // namespace
}  // namespace pier::test
