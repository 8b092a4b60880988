// The disk that the store's tests stand on must itself forget, tear and fail as it says.
#include "store/fault_disk.h"

#include <array>
#include <cerrno>

#include <gtest/gtest.h>

#include "store/sparse_bytes.h"
#include "store/temporary_folder.h"

namespace pier::test {
namespace {

using store::Wait;
using store::log::Disk;
using store::log::File;
using Unsynced = FaultDisk::Unsynced;
using Operation = FaultDisk::Operation;
using Repeat = FaultDisk::Repeat;

Result<void> write(File& file, std::uint64_t offset, std::string_view octets) {
    return file.write(offset, {&octets, 1});
}

std::string read_all(File& file) {
    std::string octets(*file.octets(), '\0');
    EXPECT_EQ(*file.read(0, octets, Wait::may_block), octets.size());
    return octets;
}

std::unique_ptr<File> made_durable(FaultDisk& disk, const std::string& name, std::string_view octets) {
    EXPECT_TRUE(disk.make_folder("log"));
    EXPECT_TRUE(disk.sync_folder(""));
    auto file = disk.create(name);
    EXPECT_TRUE(write(**file, 0, octets));
    EXPECT_TRUE((*file)->sync());
    EXPECT_TRUE(disk.sync_folder("log"));
    return std::move(*file);
}

TEST(SparseBytesTest, ReadsBackWhatWasWrittenAcrossBlocksAndHoles) {
    SparseBytes bytes;
    bytes.write(16380, "abcdefgh");
    bytes.write(5ull << 30, "end");
    EXPECT_EQ(bytes.octets(), (5ull << 30) + 3);
    std::string out(12, '?');
    EXPECT_EQ(bytes.read(16378, out), 12u);
    EXPECT_EQ(out, std::string("\0\0abcdefgh\0\0", 12));
    EXPECT_EQ(bytes.read((5ull << 30) + 1, out), 2u);
    EXPECT_EQ(out.substr(0, 2), "nd");
    bytes.truncate(16383);
    bytes.truncate(16386);
    EXPECT_EQ(bytes.read(16380, out), 6u);
    EXPECT_EQ(out.substr(0, 6), std::string("abc\0\0\0", 6)) << "what was cut off must not come back";
}

TEST(SparseBytesTest, ACopyIsItsOwn) {
    SparseBytes one;
    one.write(0, "first");
    SparseBytes two = one;
    two.write(0, "SECOND");
    std::string out(5, '?');
    one.read(0, out);
    EXPECT_EQ(out, "first");
}

// Both disks keep the interface's own promises.
class AnyDiskTest : public ::testing::TestWithParam<bool> {
  protected:
    TemporaryFolder folder;
    std::shared_ptr<Disk> disk =
        GetParam() ? store::log::real_disk(folder.path()) : std::make_shared<FaultDisk>();
};
INSTANTIATE_TEST_SUITE_P(Disks, AnyDiskTest, ::testing::Values(true, false),
                         [](const auto& disk) { return disk.param ? "real" : "fault"; });

TEST_P(AnyDiskTest, KeepsItsPromises) {
    ASSERT_TRUE(disk->make_folder("log"));
    ASSERT_TRUE(disk->make_folder("log")) << "fine if it is there";
    ASSERT_TRUE(disk->make_folder("tmp"));
    EXPECT_EQ(disk->open("log/a").error().kind, ErrorKind::not_found);
    EXPECT_EQ(disk->remove("log/a").error().kind, ErrorKind::not_found);
    EXPECT_EQ(disk->create("absent/a").error().kind, ErrorKind::not_found);
    auto file = disk->create("log/b");
    ASSERT_TRUE(file);
    EXPECT_FALSE(disk->create("log/b")) << "it is there";
    const std::array<std::string_view, 3> pieces{"one", "", "two"};
    ASSERT_TRUE((*file)->write(2, pieces));
    EXPECT_EQ(read_all(**file), std::string("\0\0onetwo", 8));
    std::string out(10, '?');
    EXPECT_EQ(*(*file)->read(5, out, Wait::may_block), 3u);
    EXPECT_EQ(*(*file)->read(8, out, Wait::may_block), 0u);
    ASSERT_TRUE((*file)->truncate(3));
    EXPECT_EQ(*(*file)->octets(), 3u);
    ASSERT_TRUE((*file)->sync());
    ASSERT_TRUE(disk->sync_folder("log"));
    ASSERT_TRUE(disk->create("log/a"));
    EXPECT_EQ(*disk->list("log"), (std::vector<std::string>{"a", "b"}));
    ASSERT_TRUE(disk->remove("log/b"));
    EXPECT_EQ(*disk->list("log"), std::vector<std::string>{"a"});
    EXPECT_EQ(*(*file)->octets(), 3u) << "an open file is readable after its name is gone";
    auto nameless = disk->create_nameless();
    ASSERT_TRUE(nameless);
    ASSERT_TRUE(write(**nameless, 0, "spooled"));
    EXPECT_EQ(read_all(**nameless), "spooled");
    EXPECT_TRUE(disk->list("tmp")->empty());
    EXPECT_GT(*disk->free_octets(), 0u);
}

TEST_P(AnyDiskTest, TheLockIsHeldByOneAtATime) {
    auto lock = disk->lock("lock");
    ASSERT_TRUE(lock);
    const auto second = disk->lock("lock");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::busy);
    *lock = nullptr;
    EXPECT_TRUE(disk->lock("lock"));
}

TEST(FaultDiskTest, PowerLossForgetsWhatWasNotSynced) {
    std::mt19937_64 random(1);
    FaultDisk disk;
    auto file = made_durable(disk, "log/a", "safe");
    ASSERT_TRUE(write(*file, 4, " and not"));
    ASSERT_TRUE(write(*file, 0, "S"));
    EXPECT_EQ(read_all(*file), "Safe and not");
    ASSERT_TRUE(disk.create("log/b"));
    ASSERT_TRUE(disk.lock("lock"));
    disk.power_loss(Unsynced::lost, random);
    EXPECT_EQ(disk.names(), std::vector<std::string>{"log/a"});
    EXPECT_EQ(disk.contents("log/a"), "safe");
    EXPECT_FALSE(file->octets()) << "a file of before the power loss";
    EXPECT_TRUE(disk.lock("lock"));

    ASSERT_TRUE(disk.remove("log/a"));
    EXPECT_EQ(*disk.list("log"), std::vector<std::string>{});
    disk.power_loss(Unsynced::lost, random);
    EXPECT_EQ(disk.names(), std::vector<std::string>{"log/a"}) << "its removal was not synced";
    ASSERT_TRUE(disk.remove("log/a"));
    ASSERT_TRUE(disk.sync_folder("log"));
    disk.power_loss(Unsynced::lost, random);
    EXPECT_EQ(disk.names(), std::vector<std::string>{});
}

TEST(FaultDiskTest, ANameNeedsItsFolderSyncedAndTheFolderToo) {
    std::mt19937_64 random(1);
    FaultDisk disk;
    ASSERT_TRUE(disk.make_folder("log"));
    auto file = disk.create("log/a");
    ASSERT_TRUE(write(**file, 0, "octets"));
    ASSERT_TRUE((*file)->sync());
    ASSERT_TRUE(disk.sync_folder("log"));
    disk.power_loss(Unsynced::lost, random);
    EXPECT_FALSE(disk.list("log")) << "nobody synced the folder that holds log/";
}

TEST(FaultDiskTest, ProcessDeathKeepsWhatWasWrittenButNoSafer) {
    std::mt19937_64 random(1);
    FaultDisk disk;
    auto file = made_durable(disk, "log/a", "safe");
    ASSERT_TRUE(write(*file, 4, "!"));
    disk.process_death();
    EXPECT_FALSE(file->sync());
    EXPECT_EQ(disk.contents("log/a"), "safe!");
    disk.power_loss(Unsynced::lost, random);
    EXPECT_EQ(disk.contents("log/a"), "safe");
}

TEST(FaultDiskTest, SomeUnsyncedWritesAreKeptTornOrLost) {
    bool kept = false, lost = false, torn = false, zeros = false;
    for (unsigned seed = 0; seed < 200; ++seed) {
        std::mt19937_64 random(seed);
        FaultDisk disk;
        auto file = made_durable(disk, "log/a", "head");
        ASSERT_TRUE(write(*file, 4, std::string(2000, 'x')));
        disk.power_loss(Unsynced::some, random);
        const std::string left = disk.contents("log/a");
        ASSERT_EQ(left.substr(0, 4), "head");
        ASSERT_LE(left.size(), 2004u);
        ASSERT_EQ(left.find_first_not_of(std::string("x\0", 2), 4), std::string::npos);
        kept |= left.substr(4) == std::string(2000, 'x');
        lost |= left.size() == 4;
        torn |= left.size() > 4 && left.size() < 2004 && left.back() == 'x';
        zeros |= left.size() == 2004 && left[4] == '\0';
    }
    EXPECT_TRUE(kept && lost && torn && zeros);
}

TEST(FaultDiskTest, TheNthOperationFailsOnceOrForGood) {
    FaultDisk disk;
    auto file = made_durable(disk, "log/a", "");
    disk.fail_operation(2, ENOSPC, Repeat::once);
    EXPECT_TRUE(write(*file, 0, "12"));
    const auto failed = write(*file, 2, "3456");
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().kind, ErrorKind::no_space);
    EXPECT_EQ(read_all(*file), "1234") << "a write that fails may have written a part";
    EXPECT_EQ(disk.failures(), 1u);
    disk.fail_operation(2, EIO, Repeat::for_good, Operation::sync);
    EXPECT_TRUE(file->sync());
    EXPECT_TRUE(write(*file, 0, "7"));
    EXPECT_EQ(file->sync().error().kind, ErrorKind::io);
    EXPECT_FALSE(file->sync());
    EXPECT_TRUE(write(*file, 0, "8"));
    disk.work_again();
    EXPECT_TRUE(file->sync());
}

TEST(FaultDiskTest, WhatAFailedSyncWasToSaveIsNeverSaved) {
    std::mt19937_64 random(1);
    FaultDisk disk;
    auto file = made_durable(disk, "log/a", "old");
    ASSERT_TRUE(write(*file, 0, "new"));
    disk.fail_operation(1, EIO, Repeat::once, Operation::sync);
    EXPECT_FALSE(file->sync());
    EXPECT_EQ(read_all(*file), "new");
    EXPECT_TRUE(file->sync());
    disk.power_loss(Unsynced::kept, random);
    EXPECT_EQ(disk.contents("log/a"), "old");
}

TEST(FaultDiskTest, TheDeadDiskDoesNothingMore) {
    std::mt19937_64 random(1);
    for (const Unsynced unsynced : {Unsynced::lost, Unsynced::kept}) {
        FaultDisk disk;
        auto file = made_durable(disk, "log/a", "safe");
        disk.die_at_operation(1);
        EXPECT_FALSE(write(*file, 4, "!"));
        EXPECT_FALSE(write(*file, 0, "never"));
        EXPECT_FALSE(file->sync());
        EXPECT_FALSE(disk.create("log/b"));
        disk.power_loss(unsynced, random);
        EXPECT_EQ(disk.contents("log/a"), unsynced == Unsynced::kept ? "safe!" : "safe");
        EXPECT_EQ(disk.names(), std::vector<std::string>{"log/a"});
        EXPECT_TRUE(disk.create("log/b"));
    }
}

TEST(FaultDiskTest, AFullDiskTakesWhatFits) {
    FaultDisk disk;
    auto file = made_durable(disk, "log/a", "1234");
    disk.set_capacity_octets(6);
    EXPECT_EQ(*disk.free_octets(), 2u);
    EXPECT_EQ(write(*file, 4, "567").error().kind, ErrorKind::no_space);
    EXPECT_EQ(read_all(*file), "123456");
    EXPECT_TRUE(write(*file, 0, "abcdef")) << "overwriting needs no space";
    disk.set_capacity_octets(std::nullopt);
    EXPECT_TRUE(write(*file, 6, "g"));
}

TEST(FaultDiskTest, AColdDiskDoesNotAnswerWhoDoesNotWait) {
    FaultDisk disk;
    auto file = made_durable(disk, "log/a", "1234");
    disk.set_cold(true);
    std::string out(4, '?');
    EXPECT_EQ(file->read(0, out, Wait::no_wait).error().kind, ErrorKind::busy);
    EXPECT_TRUE(file->read(0, out, Wait::may_block));
}

TEST(FaultDiskTest, ACloneIsItsOwn) {
    std::mt19937_64 random(1);
    FaultDisk disk;
    auto file = made_durable(disk, "log/a", "safe");
    ASSERT_TRUE(write(*file, 0, "u"));
    const auto twin = disk.clone();
    disk.flip_bit("log/a", 1, 0);
    EXPECT_EQ(disk.contents("log/a"), "u`fe");
    EXPECT_EQ(twin->contents("log/a"), "uafe");
    twin->power_loss(Unsynced::lost, random);
    EXPECT_EQ(twin->contents("log/a"), "safe");
    EXPECT_EQ(disk.contents("log/a"), "u`fe");
}

}  // namespace
}  // namespace pier::test
