// Long random histories with cleaning, restarts and rebuilds: the store is always what the model says, and an
// index that is made anew is always the living one.
#include "store/history.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "store/log_bench.h"
#include "store/store_calls.h"

namespace pier::test {
namespace {

using namespace store;
using HistoryTest = OneThreadTest;

struct Life {
    LogBench bench;
    History history;
    std::mt19937_64 random;
    std::unique_ptr<LogStore> store;

    explicit Life(std::uint64_t seed) : history(seed), random(seed) { open(); }

    void open() {
        auto options = bench.options();
        options.purge_after = std::chrono::hours(1);
        auto opened = open_log_store(options);
        ASSERT_TRUE(opened) << opened.error().text;
        store = std::move(*opened);
    }
    void rebuild() {
        const auto living = store->dump_index();
        store = nullptr;
        const auto rebuilt = rebuild_log_store(bench.options(), {});
        ASSERT_TRUE(rebuilt) << rebuilt.error().text;
        open();
        ASSERT_EQ(difference(without_dead_since(living), without_dead_since(store->dump_index())), "");
    }
    void reopen() {
        const auto living = store->dump_index();
        store = nullptr;
        open();
        ASSERT_EQ(difference(living, store->dump_index()), "");
    }
    void clean(bool all) {
        const auto cleaned = store->clean(all);
        ASSERT_TRUE(cleaned) << cleaned.error().text;
    }
    // One event of a long life.
    void go_on() {
        const auto choice = random() % 100;
        if (choice < 90)
            ASSERT_TRUE(history.step(*store)) << history.last_step();
        else if (choice < 94)
            clean(false);
        else if (choice < 95)
            clean(true);
        else if (choice < 97)
            reopen();
        else if (choice < 98)
            rebuild();
        else
            bench.now_us += static_cast<std::int64_t>(random() % 3'600'000'000ull);
        bench.now_us += 1'000;
    }
};

TEST_F(HistoryTest, ARebuiltIndexIsTheLivingOne) {
    for (const std::uint64_t seed : seeds(100, 12)) {
        SCOPED_TRACE("PIER_TEST_SEED=" + std::to_string(seed));
        Life life(seed);
        for (int i = 0; i < 400; ++i) {
            life.go_on();
            if (i % 40 == 39) life.history.settle(*life.store);
            if (HasFailure()) return;
        }
        life.rebuild();
        life.history.settle(*life.store);
        life.clean(true);
        life.history.settle(*life.store);
        life.rebuild();
        life.history.settle(*life.store);
        if (HasFailure()) return;
    }
}

// The symptom: mail that was moved to Trash was in INBOX again. The move is what tells an index made anew
// that the message is not in INBOX; it stands in a segment of its own, which is cleaned while the one with
// the message is not.
TEST_F(HistoryTest, MovedMailIsNotBackAfterCleaningAndRebuilding) {
    for (const bool removed_from_trash : {false, true}) {
        LogBench bench;
        auto store = *bench.open();
        const auto box = create_mailbox(*store, AccountId{1}, "INBOX");
        const auto trash = create_mailbox(*store, AccountId{1}, "Trash");
        ASSERT_TRUE(append(*store, {"moved"}, to(*box)));
        for (int i = 0; i < 3; ++i)
            ASSERT_TRUE(append(*store, {std::string(4'000, 'a')}, to(*box)));
        ASSERT_TRUE(store->clean(false));  // seals: what comes now is in another segment
        ASSERT_TRUE(copy(*store, *box, {1}, *trash, Store::Source::remove));
        ASSERT_TRUE(append(*store, {std::string(6'000, 'd')}, to(*box)));
        ASSERT_TRUE(store->clean(false));
        ASSERT_TRUE(expunge(*store, *box, {5}));
        if (removed_from_trash) {
            ASSERT_TRUE(expunge(*store, *trash, {1}));
        }
        const auto in_box = bodies(*store, *box), in_trash = bodies(*store, *trash);
        EXPECT_EQ(in_box.size(), 3u);
        EXPECT_EQ(in_trash.size(), removed_from_trash ? 0u : 1u);
        ASSERT_TRUE(store->clean(false));
        const auto names = bench.disk->names();
        ASSERT_EQ(std::count(names.begin(), names.end(), "log/00000001.seg"), 1)
            << "the one with the message";
        ASSERT_EQ(std::count(names.begin(), names.end(), "log/00000002.seg"), 0) << "the one with the move";
        store = nullptr;
        bench.remove_index();
        store = *bench.open();
        EXPECT_EQ(bodies(*store, *box), in_box);
        EXPECT_EQ(bodies(*store, *trash), in_trash);
    }
}

// The cleaner gives back what is dead, and does not keep working on what is alive.
TEST_F(HistoryTest, CleaningComesToAnEnd) {
    for (const std::uint64_t seed : seeds(200, 3)) {
        SCOPED_TRACE("PIER_TEST_SEED=" + std::to_string(seed));
        Life life(seed);
        for (int i = 0; i < 300; ++i)
            ASSERT_TRUE(life.history.step(*life.store)) << life.history.last_step();
        life.clean(true);
        const std::uint64_t before = life.store->stats().segment_octets;
        for (int i = 0; i < 5; ++i)
            life.clean(true);
        const Stats stats = life.store->stats();
        EXPECT_LE(stats.segment_octets, before + before / 10) << "cleaning makes the log grow";
        for (int round = 0; round < 50; ++round) {
            const auto removed = life.store->clean(false);
            ASSERT_TRUE(removed);
            if (*removed == 0) break;
            EXPECT_LT(round, 10) << "the same segments are cleaned again and again";
        }
        life.history.settle(*life.store);
    }
}

// The symptom: a server with small messages to a hundred recipients each, and nothing to do, cleaned the same
// segments at each look.
TEST_F(HistoryTest, SmallMailToManyIsNotCleanedWithoutEnd) {
    LogBench bench;
    auto options = bench.options();
    options.segment_octets_max = 1 << 20;
    const auto store = *open_log_store(options);
    std::vector<Target> all;
    std::vector<MailboxId> boxes;
    for (std::uint64_t account = 1; account <= 50; ++account) {
        boxes.push_back(*create_mailbox(*store, AccountId{account}, "INBOX"));
        all.push_back(to(boxes.back()));
    }
    for (int i = 0; i < 40; ++i)
        ASSERT_TRUE(append(*store, {"short"}, all));
    ASSERT_TRUE(store->clean(false));
    const auto again = store->clean(false);
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, 0u) << "all of it is alive";

    // And when all have removed it, what is left of it goes.
    const std::uint64_t before = store->stats().segment_octets;
    for (const MailboxId box : boxes)
        for (Uid uid = 1; uid <= 40; ++uid)
            ASSERT_TRUE(expunge(*store, box, {uid}));
    for (int round = 0; *store->clean(false) != 0; ++round)
        ASSERT_LT(round, 10);
    EXPECT_LT(store->stats().segment_octets, before / 10);
}

TEST_F(HistoryTest, RemovedMailIsOffTheDiskWhenItsTimeIsUp) {
    LogBench bench;
    auto options = bench.options();
    options.purge_after = std::chrono::hours(24);
    const auto store = open_log_store(options);
    ASSERT_TRUE(store);
    const auto box = create_mailbox(**store, AccountId{1}, "INBOX");
    const std::string secret = "a secret that was removed";
    ASSERT_TRUE(append(**store, {secret}, to(*box)));
    for (int i = 0; i < 20; ++i)
        ASSERT_TRUE(append(**store, {std::string(600, 'x')}, to(*box)));
    const auto on_disk = [&] {
        for (const std::string& name : bench.disk->names())
            if (bench.disk->contents(name).find(secret) != std::string::npos) return true;
        return false;
    };
    ASSERT_TRUE((*store)->clean(false));
    EXPECT_TRUE(on_disk());
    ASSERT_TRUE(expunge(**store, *box, {1}));
    ASSERT_TRUE((*store)->clean(false));
    EXPECT_TRUE(on_disk()) << "its segment is mostly alive and its time is not up: nothing is copied for it";
    bench.now_us += 20ll * 3600 * 1'000'000;
    ASSERT_TRUE((*store)->clean(false));
    EXPECT_TRUE(on_disk());
    bench.now_us += 4ll * 3600 * 1'000'000;
    ASSERT_TRUE((*store)->clean(false));
    EXPECT_FALSE(on_disk());
    EXPECT_EQ(bodies(**store, *box).size(), 20u);
}

}  // namespace
}  // namespace pier::test
