// The machine dies in every operation of a history, and starts again with every index it may find.
#include <algorithm>

#include <gtest/gtest.h>

#include "store/history.h"
#include "store/log/record.h"
#include "store/log_bench.h"
#include "store/store_calls.h"

namespace pier::test {
namespace {

using namespace store;
using PowerLossTest = OneThreadTest;
using Unsynced = FaultDisk::Unsynced;

// A store with some past, which a test crashes again and again from the same point.
struct Past {
    LogBench bench;
    History history;

    Past(std::uint64_t seed, int steps) : history(seed) {
        const auto store = bench.open();
        EXPECT_TRUE(store);
        for (int i = 0; i < steps; ++i) {
            EXPECT_TRUE(history.step(**store)) << history.last_step();
            bench.now_us += 1'000'000;
        }
        history.settle(**store);
    }
};

// Steps, with a cleaning in between, until one fails or all are done. True if the disk was not needed so
// often.
bool live(LogBench& bench, History& history, int steps) {
    const auto store = bench.open();
    if (!store) return false;
    for (int i = 0; i < steps; ++i) {
        if (!history.step(**store)) return false;
        bench.now_us += 1'000'000;
        if (i == steps / 2 && !(*store)->clean(true)) return false;
    }
    return bench.disk->failures() == 0;
}

enum class IndexFound { kept, earlier, none };

const char* name_of(IndexFound index) {
    return index == IndexFound::kept ? "kept" : index == IndexFound::earlier ? "an earlier one" : "none";
}

// A segment that was cleaned, but not unlinked before the crash, is unknown to the living index; one that is
// made anew finds it again.
std::vector<std::string> without_forgotten(std::vector<std::string> rebuilt,
                                           const std::vector<std::string>& living) {
    constexpr std::string_view segment_key = "73";  // 's'
    std::erase_if(rebuilt, [&](const std::string& line) {
        const std::string key = line.substr(0, line.find(' ') + 1);
        return key.starts_with(segment_key) &&
               std::none_of(living.begin(), living.end(),
                            [&](const std::string& one) { return one.starts_with(key); });
    });
    return rebuilt;
}

// Opens a copy of what the crash left, and goes on with it.
void recover(const LogBench& crashed, const LogBench& before, History history, IndexFound index,
             Unsynced unsynced, std::uint64_t seed) {
    SCOPED_TRACE(std::string("index: ") + name_of(index) +
                 ", unsynced: " + std::to_string(static_cast<int>(unsynced)));
    std::mt19937_64 random(seed);
    LogBench bench(crashed);
    bench.disk->power_loss(unsynced, random);
    if (index == IndexFound::earlier) bench.take_index(before.folder.path());
    if (index == IndexFound::none) bench.remove_index();
    std::vector<std::string> dump;
    {
        const auto store = bench.open();
        ASSERT_TRUE(store) << store.error().text;
        history.settle(**store);
        if (::testing::Test::HasFailure()) return;
        for (int i = 0; i < 3; ++i)
            EXPECT_TRUE(history.step(**store)) << history.last_step();
        dump = (*store)->dump_index();
    }
    // What was seen once must stay, whatever was still unsynced after the recovery.
    bench.disk->power_loss(Unsynced::lost, random);
    bench.remove_index();
    const auto store = bench.open();
    ASSERT_TRUE(store) << store.error().text;
    history.settle(**store);
    EXPECT_EQ(difference(without_dead_since(dump),
                         without_dead_since(without_forgotten((*store)->dump_index(), dump))),
              "")
        << "the index made anew differs from the living one";
    // A cleaning that the crash cut short is finished by the next one.
    auto before_cleaning = bench.disk->names();
    std::erase_if(before_cleaning, [&](const std::string& name) {
        return bench.disk->octets(name) == log::segment_header_octets;  // empty: the next records go there
    });
    const auto cleaned = (*store)->clean(true);
    EXPECT_TRUE(cleaned) << cleaned.error().text;
    for (const std::string& name : bench.disk->names())
        EXPECT_EQ(std::count(before_cleaning.begin(), before_cleaning.end(), name), 0)
            << name << " is still there";
    history.settle(**store);
    EXPECT_EQ(bench.fatal_calls, 0);
}

TEST_F(PowerLossTest, InEveryOperationOfAHistory) {
    for (const std::uint64_t seed : seeds(1, 3)) {
        const Past past(seed, 40);
        if (HasFailure()) return;
        bool survived = false;
        for (std::uint64_t n = 1; !survived; ++n) {
            SCOPED_TRACE("PIER_TEST_SEED=" + std::to_string(seed) + ", dying in operation " +
                         std::to_string(n));
            ASSERT_LT(n, 5'000u) << "the history never ends";
            LogBench bench(past.bench);
            History history = past.history;
            bench.disk->die_at_operation(n);
            survived = live(bench, history, 12);
            // Each n with every index; what is left of unsynced octets takes turns.
            for (const IndexFound index : {IndexFound::kept, IndexFound::earlier, IndexFound::none}) {
                const auto unsynced =
                    static_cast<Unsynced>((n + seed + static_cast<std::uint64_t>(index)) % 3);
                recover(bench, past.bench, history, index, unsynced, seed * 10'000 + n);
                if (HasFailure()) return;
            }
        }
    }
}

TEST_F(PowerLossTest, WhileTheStoreIsMade) {
    std::mt19937_64 random(1);
    for (const Unsynced unsynced : {Unsynced::lost, Unsynced::some, Unsynced::kept}) {
        bool survived = false;
        for (std::uint64_t n = 1; !survived; ++n) {
            SCOPED_TRACE("dying in operation " + std::to_string(n));
            LogBench bench;
            History history(7);
            bench.disk->die_at_operation(n);
            survived = live(bench, history, 5);
            bench.disk->power_loss(unsynced, random);
            const auto store = bench.open();
            ASSERT_TRUE(store) << store.error().text;
            history.settle(**store);
            EXPECT_TRUE(history.step(**store));
            if (HasFailure()) return;
        }
    }
}

TEST_F(PowerLossTest, AgainWhileRecoveringFromThePowerLoss) {
    for (const std::uint64_t seed : seeds(11, 2)) {
        const Past past(seed, 30);
        if (HasFailure()) return;
        for (std::uint64_t n = 5; n < 60; n += 9) {
            LogBench crashed(past.bench);
            History history = past.history;
            crashed.disk->die_at_operation(n);
            live(crashed, history, 8);
            std::mt19937_64 random(seed * 1'000 + n);
            crashed.disk->power_loss(Unsynced::some, random);
            bool opened = false;
            for (std::uint64_t m = 1; !opened; ++m) {
                SCOPED_TRACE("PIER_TEST_SEED=" + std::to_string(seed) + ", dying in operation " +
                             std::to_string(n) + ", then in operation " + std::to_string(m) +
                             " of the recovery");
                LogBench again(crashed);
                if (m % 2 == 0) again.remove_index();
                again.disk->die_at_operation(m);
                opened = again.open().has_value();
                for (const IndexFound index : {IndexFound::kept, IndexFound::none})
                    recover(again, past.bench, history, index, Unsynced::some, m);
                if (HasFailure()) return;
            }
        }
    }
}

// The process dies, the machine lives: what the next process shows from the page cache must not vanish when
// the power fails after all. (UID 5 would then be given to two messages.)
TEST_F(PowerLossTest, WhatWasShownAfterAProcessDiedStaysWhenThePowerFails) {
    for (const std::uint64_t seed : seeds(21, 2)) {
        const Past past(seed, 20);
        if (HasFailure()) return;
        bool survived = false;
        for (std::uint64_t n = 1; !survived; ++n) {
            SCOPED_TRACE("PIER_TEST_SEED=" + std::to_string(seed) + ", dying in operation " +
                         std::to_string(n));
            LogBench bench(past.bench);
            History history = past.history;
            bench.disk->die_at_operation(n);
            survived = live(bench, history, 6);
            bench.disk->process_death();
            std::mt19937_64 random(n);
            {
                const auto store = bench.open();
                ASSERT_TRUE(store) << store.error().text;
                history.settle(**store);
            }
            bench.disk->power_loss(Unsynced::lost, random);
            const auto store = bench.open();
            ASSERT_TRUE(store) << store.error().text;
            history.settle(**store);
            if (HasFailure()) return;
        }
    }
}

}  // namespace
}  // namespace pier::test
