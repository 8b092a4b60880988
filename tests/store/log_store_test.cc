// What the embedded engine promises beyond store.h.
#include <filesystem>
#include <future>

#include <gtest/gtest.h>
#include <unistd.h>

#include "store/log/index.h"
#include "store/log_bench.h"
#include "store/store_calls.h"

namespace pier::test {
namespace {

using namespace store;
using Operation = FaultDisk::Operation;

TEST(LogStoreTest, OneSyncMakesAGroupDurable) {
    LogBench bench;
    bench.segment_octets_max = 1 << 20;  // one is enough: making a segment needs syncs of its own
    const auto store = *bench.open();
    const auto box = create_mailbox(*store, AccountId{1}, "INBOX");
    const std::uint64_t syncs = bench.disk->operations(Operation::sync);
    const Stats before = store->stats();
    std::vector<std::future<bool>> answers;
    for (int i = 0; i < 300; ++i) {
        auto answer = std::make_shared<std::promise<bool>>();
        answers.push_back(answer->get_future());
        store->append(std::move(*spooled(*store, {"x"}, {to(*box)})),
                      [answer](auto results) { answer->set_value(results && results->at(0)); });
    }
    for (auto& answer : answers)
        EXPECT_TRUE(answer.get());
    const Stats after = store->stats();
    EXPECT_EQ(bench.disk->operations(Operation::sync) - syncs, after.groups - before.groups);
    EXPECT_EQ(after.group_records - before.group_records, 300u);
    EXPECT_LT(after.groups - before.groups, 200u);
}

TEST(LogStoreTest, AChangeThatChangesNothingTouchesNoDisk) {
    LogBench bench;
    const auto store = *bench.open();
    const auto box = create_mailbox(*store, AccountId{1}, "INBOX");
    ASSERT_TRUE(append(*store, {"x"}, to(*box)));
    const std::uint64_t operations = bench.disk->operations();
    EXPECT_EQ(*expunge(*store, *box, {}), 0u);
    EXPECT_EQ(*expunge(*store, *box, {99}), 0u);
    EXPECT_TRUE(set_flags(*store, *box, {{99, 1}}));
    EXPECT_TRUE(set_flags(*store, *box, {{1, 0}})) << "it has these flags already";
    EXPECT_EQ(*create_mailbox(*store, AccountId{1}, "INBOX"), *box);
    EXPECT_EQ(bench.disk->operations(), operations);
}

// A large store has more segments than a process may have files.
TEST(LogStoreTest, FewSegmentsAreOpenAtOnce) {
    const TemporaryFolder folder;
    LogStoreOptions options;
    options.folder = folder.path();
    options.segment_octets_max = 4 << 10;
    options.segment_files_max = 3;
    options.cleaner = false;
    auto store = *open_log_store(options);
    const auto box = create_mailbox(*store, AccountId{1}, "INBOX");
    const auto open_segments = [&] {
        std::size_t count = 0;
        for (const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) {
            std::error_code gone;
            const std::string path = std::filesystem::read_symlink(fd.path(), gone).string();
            count += path.starts_with(folder.path() + "/log/") ? 1 : 0;
        }
        return count;
    };
    std::vector<std::string> expected;
    for (int i = 0; i < 20; ++i) {
        expected.push_back(std::to_string(i) + std::string(5'000, 'x'));
        ASSERT_TRUE(append(*store, {expected.back()}, to(*box)));
        EXPECT_LE(open_segments(), 4u) << "the one that is written to, and three";
    }
    EXPECT_GE(store->stats().segments, 20u);
    for (int round = 0; round < 2; ++round) {
        const auto snapshot = *store->open(*box);
        for (std::size_t i = 0; i < expected.size(); ++i) {
            EXPECT_TRUE(*read_body(*snapshot, i) == expected[i]);
            EXPECT_LE(open_segments(), 4u);
        }
        // Who reads keeps the file, whatever others open meanwhile.
        std::vector<std::unique_ptr<Body>> half_read;
        for (std::size_t i = 0; i < expected.size(); ++i) {
            half_read.push_back(*snapshot->body(i));
            EXPECT_TRUE(half_read.back()->verify(Wait::may_block));
        }
        for (std::size_t i = 0; i < expected.size(); ++i) {
            std::string out(expected[i].size(), '?');
            EXPECT_EQ(*half_read[i]->read(0, out, Wait::may_block), out.size());
            EXPECT_TRUE(out == expected[i]);
            EXPECT_TRUE(half_read[i]->file());
        }
        half_read.clear();
        EXPECT_TRUE(bodies(*snapshot) == expected);
        EXPECT_LE(open_segments(), 4u);
        if (round == 1) break;
        store = nullptr;
        store = *open_log_store(options);
        EXPECT_LE(open_segments(), 4u);
    }
    // What the cleaner takes away stays readable, although its file was closed.
    const auto snapshot = *store->open(*box);
    std::vector<Uid> all;
    for (Uid uid = 1; uid <= expected.size(); ++uid)
        all.push_back(uid);
    ASSERT_TRUE(expunge(*store, *box, all));
    ASSERT_TRUE(store->clean(true));
    EXPECT_GE(store->stats().cleaned_segments, 20u);
    EXPECT_TRUE(bodies(*snapshot) == expected);
}

// What an older or a newer version of the program has left.
TEST(LogStoreTest, AnIndexOfAnotherFormIsMadeAnew) {
    LogBench bench;
    auto store = *bench.open();
    const auto box = create_mailbox(*store, AccountId{1}, "INBOX");
    ASSERT_TRUE(append(*store, {"x"}, to(*box)));
    const auto living = store->dump_index();
    for (const std::string& form : {std::string(), std::string("\1\0\0\0", 4), std::string("form")}) {
        store = nullptr;
        {
            const auto index = *log::Index::open(bench.index_folder(), 1 << 20);
            log::Batch batch(*index);
            batch.erase(log::key::form());
            if (!form.empty()) batch.put(log::key::form(), form);
            batch.put(log::key::entry(static_cast<std::uint64_t>(*box), 1), "of another form");
            ASSERT_TRUE(batch.commit());
        }
        EXPECT_EQ(verify_log_store(bench.options(), {})->problems, std::vector<std::string>());
        store = *bench.open();
        EXPECT_EQ(difference(living, store->dump_index()), "");
        EXPECT_EQ(bodies(*store, *box), std::vector<std::string>{"x"});
    }
}

TEST(LogStoreTest, ASmallMessageIsSpooledInMemory) {
    LogBench bench;
    const auto store = *bench.open();
    const std::uint64_t files = bench.disk->operations(Operation::create);
    const std::uint64_t limit = bench.options().spool_memory_octets;
    auto spool = store->new_spool();
    ASSERT_TRUE(spool->write(std::string(limit - 1, 'x')));
    ASSERT_TRUE(spool->write("x"));
    EXPECT_EQ(bench.disk->operations(Operation::create), files);
    ASSERT_TRUE(spool->write("x"));
    EXPECT_EQ(bench.disk->operations(Operation::create), files + 1);
    EXPECT_EQ(spool->octets(), limit + 1);
}

TEST(LogStoreTest, WhoDoesNotWaitIsToldThatTheDiskWould) {
    LogBench bench;
    const auto store = *bench.open();
    const auto box = create_mailbox(*store, AccountId{1}, "INBOX");
    ASSERT_TRUE(append(*store, {"octets"}, to(*box)));
    const auto snapshot = *store->open(*box);
    bench.disk->set_cold(true);
    const auto body = *snapshot->body(0);
    std::string out(6, '?');
    EXPECT_EQ(body->verify(Wait::no_wait).error().kind, ErrorKind::busy);
    EXPECT_EQ(body->read(0, out, Wait::no_wait).error().kind, ErrorKind::busy);
    EXPECT_TRUE(body->verify(Wait::may_block));
    EXPECT_EQ(body->read(0, out, Wait::no_wait).error().kind, ErrorKind::busy);
    bench.disk->set_cold(false);
    EXPECT_EQ(*body->read(0, out, Wait::no_wait), 6u);
    EXPECT_EQ(out, "octets");
}

TEST(LogStoreTest, OneProcessAtATime) {
    const TemporaryFolder folder;
    LogStoreOptions options;
    options.folder = folder.path() + "/made/when/missing";
    auto store = open_log_store(options);
    ASSERT_TRUE(store) << store.error().text;
    const auto second = open_log_store(options);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::busy);
    EXPECT_NE(second.error().text.find(std::to_string(::getpid())), std::string::npos)
        << "who holds it? " << second.error().text;
    *store = nullptr;
    EXPECT_TRUE(open_log_store(options));
}

TEST(LogStoreTest, ASegmentIsSealedWhenItIsFull) {
    LogBench bench;
    const auto store = *bench.open();
    const auto box = create_mailbox(*store, AccountId{1}, "INBOX");
    for (int i = 0; i < 40; ++i)
        ASSERT_TRUE(append(*store, {std::string(2'000, 'x')}, to(*box)));
    const auto names = bench.disk->names();
    EXPECT_GE(names.size(), 4u);
    EXPECT_EQ(store->stats().segments, names.size());
    for (const std::string& name : names) {
        EXPECT_LE(bench.disk->octets(name), bench.segment_octets_max + 4'000) << name;
        const bool last = name == names.back();
        EXPECT_EQ(bench.disk->contents(name).find("PIERSEAL") == std::string::npos, last) << name;
    }
    // A larger message gets its place all the same.
    ASSERT_TRUE(append(*store, {std::string(100'000, 'y')}, to(*box)));
    EXPECT_EQ(bodies(*store, *box).back().size(), 100'000u);
}

TEST(LogStoreTest, OpeningAndClosingLeavesNothingBehind) {
    LogBench bench;
    { ASSERT_TRUE(append(**bench.open(), {"x"}, to(MailboxId{1})).error().kind == ErrorKind::not_found); }
    const auto names = bench.disk->names();
    const std::string octets = bench.disk->contents(names.at(0));
    for (int i = 0; i < 5; ++i)
        ASSERT_TRUE(bench.open());
    EXPECT_EQ(bench.disk->names(), names);
    EXPECT_EQ(bench.disk->contents(names.at(0)), octets);
}

TEST(LogStoreTest, RebuildTellsHowFarItIs) {
    LogBench bench;
    {
        const auto store = *bench.open();
        const auto box = create_mailbox(*store, AccountId{1}, "INBOX");
        for (int i = 0; i < 30; ++i)
            ASSERT_TRUE(append(*store, {std::string(2'000, 'x')}, to(*box)));
    }
    std::uint64_t calls = 0, last = 0, all = 0;
    ASSERT_TRUE(rebuild_log_store(bench.options(), [&](std::uint64_t done, std::uint64_t total) {
        ++calls;
        EXPECT_GT(done, last);
        EXPECT_LE(done, total);
        last = done;
        all = total;
    }));
    EXPECT_GE(calls, 3u);
    EXPECT_EQ(last, all);
}

}  // namespace
}  // namespace pier::test
