// An embedded store on a FaultDisk with its index in memory, set up so small that a short history fills
// several segments. Copies of it are stores of their own: the same crash can be recovered from in many ways.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "store/fault_disk.h"
#include "store/log/log_store.h"
#include "store/temporary_folder.h"

namespace pier::test {

struct LogBench {
    LogBench() : disk(std::make_shared<FaultDisk>()) {}
    // A copy as the disk is now. The store of `other` must be closed.
    explicit LogBench(const LogBench& other)
        : disk(other.disk->clone()),
          now_us(other.now_us.load()),
          segment_octets_max(other.segment_octets_max) {
        take_index(other.folder.path());
    }
    LogBench& operator=(const LogBench&) = delete;

    store::LogStoreOptions options() {
        store::LogStoreOptions options;
        options.folder = folder.path();
        options.disk = disk;
        options.segment_octets_max = segment_octets_max;
        options.message_octets_max = 8ull << 30;
        options.spool_memory_octets = 2 << 10;
        options.group_octets_max = 64 << 10;
        options.reserve_octets = 0;
        options.index_cache_octets = 1 << 20;
        options.listing_cache_octets = 1 << 20;
        options.cleaner = false;
        options.clock = [this] { return Time(std::chrono::microseconds(now_us)); };
        options.on_fatal = [this](const Error&) { ++fatal_calls; };
        return options;
    }
    Result<std::unique_ptr<store::LogStore>> open() { return store::open_log_store(options()); }

    std::string index_folder() const { return folder.path() + "/index"; }
    void remove_index() { std::filesystem::remove_all(index_folder()); }
    // Replaces the index by the one of another store's folder.
    void take_index(const std::string& other_folder) {
        remove_index();
        if (std::filesystem::exists(other_folder + "/index"))
            std::filesystem::copy(other_folder + "/index", index_folder(),
                                  std::filesystem::copy_options::recursive);
    }

    TemporaryFolder folder{TemporaryFolder::Where::in_memory};
    std::shared_ptr<FaultDisk> disk;
    std::atomic<std::int64_t> now_us = 1'790'000'000'000'000;
    std::uint64_t segment_octets_max = 16 << 10;
    std::atomic<int> fatal_calls = 0;
};

// The lines that only one of two sorted dumps has, with - and + in front; empty if they are equal.
std::string difference(const std::vector<std::string>& before, const std::vector<std::string>& after);

// What a rebuild may know differently: the moment since when a segment holds something dead is only a lower
// bound where messages were moved before they were removed. Everything else must be equal.
std::vector<std::string> without_dead_since(std::vector<std::string> dump);

// Tests of one thread that opens the store hundreds of times. Under the thread sanitizer they would take long
// and see nothing, so they are left out there.
class OneThreadTest : public ::testing::Test {
  protected:
    void SetUp() override {
#ifdef __SANITIZE_THREAD__
        GTEST_SKIP() << "one thread: nothing for the thread sanitizer to see";
#endif
    }
};

// PIER_TEST_SEED=n runs that seed alone; otherwise `count` of them from `first` on (fewer under a sanitizer).
// Print it with SCOPED_TRACE.
std::vector<std::uint64_t> seeds(std::uint64_t first, std::uint64_t count);

}  // namespace pier::test
