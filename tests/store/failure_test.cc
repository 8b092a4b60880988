// Each operation of the disk fails in turn, with EIO or for want of space, once or for good.
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <future>
#include <set>

#include <gtest/gtest.h>

#include "store/history.h"
#include "store/log_bench.h"
#include "store/store_calls.h"

namespace pier::test {
namespace {

using namespace store;
using FailureTest = OneThreadTest;
using Operation = FaultDisk::Operation;
using Repeat = FaultDisk::Repeat;
using Unsynced = FaultDisk::Unsynced;

constexpr int steps = 14;

// One store with a past for all failures.
struct Past {
    LogBench bench;
    History history;

    explicit Past(std::uint64_t seed) : history(seed) {
        const auto store = bench.open();
        EXPECT_TRUE(store);
        for (int i = 0; i < 30; ++i)
            EXPECT_TRUE(history.step(**store)) << history.last_step();
        history.settle(**store);
    }
};

// What must hold after any failure: the disk works again, everything acknowledged is there, changes are
// taken.
void expect_recovery(LogBench& bench, History& history, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    bench.disk->work_again();
    bench.disk->power_loss(static_cast<Unsynced>(seed % 3), random);
    if (seed % 2 == 0) bench.remove_index();
    bench.fatal_calls = 0;
    const auto store = bench.open();
    ASSERT_TRUE(store) << store.error().text;
    history.settle(**store);
    for (int i = 0; i < 2; ++i)
        EXPECT_TRUE(history.step(**store)) << history.last_step();
    history.settle(**store);
    EXPECT_EQ(bench.fatal_calls, 0);
}

// A failed store says so once, takes nothing more, and reads on.
void expect_stopped(LogStore& store, LogBench& bench, History& history) {
    EXPECT_EQ(bench.fatal_calls, 1);
    EXPECT_FALSE(history.step(store)) << history.last_step() << " was taken after the end";
    EXPECT_EQ(put(store, {DirectoryKind::setting, "k", 0, "v"}).error().kind, ErrorKind::stopped);
    const MailboxId some = history.mailboxes().begin()->first;
    EXPECT_EQ(expunge(store, some, {1}).error().kind, ErrorKind::stopped);
    EXPECT_EQ(bench.fatal_calls, 1) << "told more than once";
}

TEST_F(FailureTest, EachOperationFailsWithEio) {
    for (const Repeat repeat : {Repeat::once, Repeat::for_good}) {
        const Past past(31);
        bool reached = true;
        for (std::uint64_t n = 1; reached; ++n) {
            SCOPED_TRACE("operation " + std::to_string(n) + " fails" +
                         (repeat == Repeat::once ? " once" : ""));
            LogBench bench(past.bench);
            History history = past.history;
            bench.disk->fail_operation(n, EIO, repeat);
            {
                const auto store = bench.open();
                if (!store) {
                    EXPECT_EQ(store.error().kind, ErrorKind::io) << store.error().text;
                    EXPECT_FALSE(store.error().text.empty());
                }
                for (int i = 0; store && i < steps && !(*store)->failed(); ++i) {
                    static_cast<void>(history.step(**store));
                    if (i == steps / 2) static_cast<void>((*store)->clean(true));
                }
                if (store && (*store)->failed()) expect_stopped(**store, bench, history);
                if (store && !(*store)->failed()) {
                    EXPECT_EQ(bench.fatal_calls, 0);
                }
            }
            reached = bench.disk->failures() > 0;
            expect_recovery(bench, history, n);
            if (HasFailure()) return;
        }
    }
}

TEST_F(FailureTest, EachOperationFindsNoSpaceOnce) {
    const Past past(32);
    bool reached = true;
    for (std::uint64_t n = 1; reached; ++n) {
        SCOPED_TRACE("operation " + std::to_string(n) + " finds no space");
        LogBench bench(past.bench);
        History history = past.history;
        bench.disk->fail_operation(n, ENOSPC, Repeat::once);
        {
            const auto store = bench.open();
            int failed_steps = 0;
            for (int i = 0; store && i < steps && !(*store)->failed(); ++i) {
                failed_steps += history.step(**store) ? 0 : 1;
                if (i == steps / 2) static_cast<void>((*store)->clean(true));
            }
            reached = bench.disk->failures() > 0;
            bench.disk->work_again();
            if (store && (*store)->failed()) {
                expect_stopped(**store, bench, history);
            } else if (store) {
                EXPECT_EQ(bench.fatal_calls, 0);
                EXPECT_LE(failed_steps, 1) << "it was full for one operation only";
                history.settle(**store);
            }
        }
        expect_recovery(bench, history, n);
        if (HasFailure()) return;
    }
}

// The disk is full for everything but syncs and removals for a while: nothing of what was refused stays,
// reading goes on.
TEST_F(FailureTest, AFullDiskIsSurvivedAndRecoveredFrom) {
    for (const std::uint64_t seed : seeds(41, 3)) {
        SCOPED_TRACE("PIER_TEST_SEED=" + std::to_string(seed));
        const Past past(seed);
        int all_refused = 0;
        for (std::uint64_t n = 1; n < 25; ++n) {
            SCOPED_TRACE("full from write " + std::to_string(n));
            LogBench bench(past.bench);
            History history = past.history;
            const auto store = bench.open();
            ASSERT_TRUE(store);
            bench.disk->fail_operation(n, ENOSPC, Repeat::for_good, Operation::write);
            int refused = 0;
            for (int i = 0; i < 20; ++i) {
                refused += history.step(**store) ? 0 : 1;
                ASSERT_FALSE((*store)->failed()) << history.last_step();
                if (i % 5 == 4) history.settle(**store);
            }
            EXPECT_EQ(refused > 0, bench.disk->failures() > 0);
            all_refused += refused;
            bench.disk->work_again();
            for (int i = 0; i < 5; ++i)
                EXPECT_TRUE(history.step(**store)) << history.last_step();
            history.settle(**store);
            if (HasFailure()) return;
        }
        EXPECT_GT(all_refused, 24);
    }
}

// A whole record may be on the disk already when a later one of its group does not fit. All of the group is
// refused, and must not come back when the power fails before anything else is written.
TEST_F(FailureTest, NothingOfARefusedMessageStaysEvenIfThePowerFailsNext) {
    int refusals = 0;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937_64 random(seed);
        LogBench bench;
        std::set<std::string> taken, refused;
        {
            const auto store = bench.open();
            ASSERT_TRUE(store);
            const auto box = create_mailbox(**store, AccountId{1}, "INBOX");
            std::vector<NewMessage> messages;
            for (int i = 0; i < 12; ++i) {
                const std::size_t octets = random() % 2 == 0 ? 3'000 : 100;
                messages.push_back(
                    std::move(*spooled(**store, {std::to_string(i) + std::string(octets, ' ')}, {to(*box)})));
            }
            bench.disk->fail_operation(1 + random() % 9, ENOSPC, Repeat::once, Operation::write);
            std::vector<std::future<bool>> answers;
            for (NewMessage& message : messages) {
                auto answer = std::make_shared<std::promise<bool>>();
                answers.push_back(answer->get_future());
                (*store)->append(std::move(message),
                                 [answer](auto results) { answer->set_value(results && results->at(0)); });
            }
            for (std::size_t i = 0; i < answers.size(); ++i) {
                const std::string first_word = std::to_string(i);
                (answers[i].get() ? taken : refused).insert(first_word);
            }
            refusals += refused.empty() ? 0 : 1;
            EXPECT_FALSE((*store)->failed());
        }
        bench.disk->power_loss(Unsynced::some, random);
        bench.remove_index();
        const auto store = bench.open();
        ASSERT_TRUE(store) << store.error().text;
        std::set<std::string> there;
        for (const std::string& body : bodies(**store, MailboxId{1}))
            there.insert(body.substr(0, body.find(' ')));
        EXPECT_EQ(there, taken);
    }
    EXPECT_GT(refusals, 20);
}

TEST_F(FailureTest, AFailedSyncStopsTheStoreForGood) {
    std::mt19937_64 random(1);
    for (const int error_number : {EIO, ENOSPC, EDQUOT}) {
        LogBench bench;
        const auto store = bench.open();
        ASSERT_TRUE(store);
        const auto box = create_mailbox(**store, AccountId{1}, "INBOX");
        ASSERT_TRUE(append(**store, {"safe"}, to(*box)));
        EXPECT_FALSE((*store)->failed());
        bench.disk->fail_operation(1, error_number, Repeat::once, Operation::sync);
        EXPECT_EQ(append(**store, {"lost"}, to(*box)).error().kind, ErrorKind::stopped);
        EXPECT_TRUE((*store)->failed());
        EXPECT_EQ(bench.fatal_calls, 1);
        EXPECT_EQ(append(**store, {"later"}, to(*box)).error().kind, ErrorKind::stopped);
        EXPECT_EQ(bodies(**store, *box), std::vector<std::string>{"safe"}) << "reading goes on";
        EXPECT_EQ(bench.fatal_calls, 1);
        EXPECT_FALSE((*store)->clean(true));
    }
}

TEST_F(FailureTest, TheReserveIsForRemovingNotForNewMail) {
    LogBench bench;
    auto options = bench.options();
    options.reserve_octets = 100'000;
    const auto store = open_log_store(options);
    ASSERT_TRUE(store);
    const auto box = create_mailbox(**store, AccountId{1}, "INBOX");
    bench.disk->set_capacity_octets(300'000);
    int taken = 0;
    Result<Appended> last = Appended{};
    while (taken < 1'000 && (last = append(**store, {std::string(4'000, 'm')}, to(*box))))
        ++taken;
    ASSERT_FALSE(last) << "it never was full";
    EXPECT_EQ(last.error().kind, ErrorKind::no_space);
    EXPECT_GT(taken, 20);
    EXPECT_GT(*bench.disk->free_octets(), 50'000u);
    std::vector<Uid> all;
    for (int i = 1; i <= taken; ++i)
        all.push_back(static_cast<Uid>(i));
    EXPECT_EQ(*expunge(**store, *box, all), static_cast<std::uint64_t>(taken));
    EXPECT_TRUE(set_flags(**store, *box, {}));
    EXPECT_TRUE((*store)->clean(true));
    EXPECT_TRUE(append(**store, {std::string(4'000, 'm')}, to(*box))) << "room again";
    EXPECT_FALSE((*store)->failed());
}

// A sector of an old message cannot be read: that message is lost, not the server.
TEST_F(FailureTest, AReadErrorIsToldToItsReaderAlone) {
    LogBench bench;
    const auto store = bench.open();
    ASSERT_TRUE(store);
    const auto box = create_mailbox(**store, AccountId{1}, "INBOX");
    for (const char* body : {"one", "two"})
        ASSERT_TRUE(append(**store, {body}, to(*box)));
    const auto snapshot = (*store)->open(*box);
    bench.disk->fail_operation(1, EIO, Repeat::for_good, Operation::read);
    EXPECT_EQ(read_body(**snapshot, 0).error().kind, ErrorKind::io);
    EXPECT_TRUE(append(**store, {"three"}, to(*box))) << "writing needs no reading";
    EXPECT_FALSE((*store)->clean(true));
    EXPECT_FALSE((*store)->failed()) << "the cleaner cannot read; nobody else needs to suffer";
    bench.disk->work_again();
    EXPECT_EQ(bodies(**store, *box), (std::vector<std::string>{"one", "two", "three"}));
    EXPECT_TRUE((*store)->clean(true));
    EXPECT_EQ(bodies(**store, *box), (std::vector<std::string>{"one", "two", "three"}));
}

// Descriptors or memory are used up when the next segment is due: that ends by itself, so messages are
// refused until then, and the store goes on.
TEST_F(FailureTest, ASegmentThatCannotBeMadeNowIsMadeLater) {
    for (const int error_number : {EMFILE, ENFILE, ENOMEM}) {
        LogBench bench;
        const auto store = bench.open();
        ASSERT_TRUE(store);
        const auto box = create_mailbox(**store, AccountId{1}, "INBOX");
        bench.disk->fail_operation(1, error_number, Repeat::for_good, Operation::create);
        std::size_t taken = 0;
        Result<Appended> last = Appended{};
        while (taken < 100 && (last = append(**store, {std::string(1'500, 'm')}, to(*box))))
            ++taken;
        ASSERT_FALSE(last) << "no segment was due";
        EXPECT_EQ(last.error().kind, ErrorKind::busy);
        EXPECT_FALSE(append(**store, {"m"}, to(*box)));
        EXPECT_FALSE((*store)->failed());
        bench.disk->work_again();
        EXPECT_TRUE(append(**store, {"m"}, to(*box)));
        EXPECT_EQ(bodies(**store, *box).size(), taken + 1);
    }
}

// A removal that cannot look its message up in the index must not be told that there is none: its client
// would take it for removed.
TEST_F(FailureTest, AnIndexThatCannotBeReadIsNoAnswer) {
    LogBench bench;
    MailboxId box{};
    {
        const auto store = bench.open();
        ASSERT_TRUE(store);
        box = *create_mailbox(**store, AccountId{1}, "INBOX");
        for (int i = 0; i < 1'000; ++i)
            ASSERT_TRUE(append(**store, {"m"}, to(box)));
    }
    const auto store = bench.open();
    ASSERT_TRUE(store);
    // The middle of its tables: entries, which nobody has looked at yet.
    std::vector<std::pair<std::filesystem::path, std::string>> tables;
    for (const auto& file : std::filesystem::directory_iterator(bench.index_folder())) {
        if (file.path().extension() != ".sst" || file.file_size() < 20'000) continue;
        std::fstream table(file.path(), std::ios::in | std::ios::out | std::ios::binary);
        std::string octets(12'000, '\0');
        table.seekg(8'000);
        table.read(octets.data(), static_cast<std::streamsize>(octets.size()));
        tables.emplace_back(file.path(), octets);
        table.seekp(8'000);
        table << std::string(octets.size(), 'x');
    }
    ASSERT_FALSE(tables.empty());
    const auto refused = expunge(**store, box, {300});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::corrupt);
    EXPECT_FALSE((*store)->failed()) << "nothing was written";
    for (const auto& [path, octets] : tables) {
        std::fstream table(path, std::ios::in | std::ios::out | std::ios::binary);
        table.seekp(8'000);
        table << octets;
    }
    EXPECT_EQ(*expunge(**store, box, {300}), 1u);
    EXPECT_EQ(bodies(**store, box).size(), 999u);
}

TEST_F(FailureTest, TheCleanerGetsAwayWithEveryReadError) {
    const Past past(33);
    bool reached = true;
    for (std::uint64_t n = 1; reached; ++n) {
        SCOPED_TRACE("read " + std::to_string(n) + " of the cleaning fails");
        LogBench bench(past.bench);
        History history = past.history;
        const auto store = bench.open();
        ASSERT_TRUE(store);
        const std::uint64_t before = bench.disk->failures();
        bench.disk->fail_operation(n, EIO, Repeat::once, Operation::read);
        static_cast<void>((*store)->clean(true));
        reached = bench.disk->failures() > before;
        bench.disk->work_again();
        EXPECT_FALSE((*store)->failed());
        EXPECT_EQ(bench.fatal_calls, 0);
        history.settle(**store);
        EXPECT_TRUE(history.step(**store)) << history.last_step();
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace pier::test
