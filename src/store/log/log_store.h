// The embedded engine: append-only segments that are the truth, and an index in RocksDB that is derived from
// them. docs/disk-format.md defines every byte; docs/architecture.md says why it is so.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/result.h"
#include "base/time.h"
#include "store/log/disk.h"
#include "store/store.h"

namespace pier::store {

struct LogStoreOptions {
    std::string folder;                               // made if it is missing: lock, log/, index/, tmp/
    std::shared_ptr<log::Disk> disk;                  // absent: the real one
    std::uint64_t segment_octets_max = 256ull << 20;  // a segment is sealed when it has grown to this
    std::uint64_t message_octets_max = 64ull << 20;
    std::uint64_t spool_memory_octets = 1ull << 20;  // of a message, before it goes to a file
    std::uint64_t group_octets_max = 8ull << 20;     // made durable by one sync
    std::uint64_t reserve_octets =
        16ull << 20;  // disk space that new messages must leave, so that removing goes on
    std::uint64_t listing_cache_octets = 64ull << 20;  // of snapshots kept for the next open()
    std::uint64_t index_cache_octets = 64ull << 20;    // RocksDB's block cache
    std::size_t segment_files_max = 1024;              // open at once, and those that are being read from
    std::chrono::seconds purge_after{7 * 24 * 3600};   // removed mail is off the disk by then
    unsigned clean_below_percent = 50;  // a segment with less than this alive is copied forward
    bool cleaner = true;                // in the background; off: only LogStore::clean()
    Clock clock = system_now;
    std::function<void(const Error&)> on_fatal;  // at most once, on the store's thread
};

// The engine, with what the commands and the tests need beyond Store.
class LogStore : public Store {
  public:
    // What it holds now of what the options limit. Never waits.
    struct Held {
        std::uint64_t listing_octets = 0, segment_files = 0;
        std::uint64_t groups = 0, group_records = 0;  // as in Stats
        // The index: its files, what is cached of them, and what is in memory alone.
        std::uint64_t index_file_octets = 0, index_cached_octets = 0, index_memory_octets = 0;
    };
    virtual Held held() const = 0;
    // How long the disk took to make each group durable, since the start. Never waits.
    virtual metrics::Histogram::Values sync_times() const = 0;
    // Seals the active segment and cleans every segment that the rules ask for; with `all` those with
    // anything dead. Blocks. Gives the number of segments removed.
    virtual Result<std::uint64_t> clean(bool all) = 0;
    // Every key and value of the index except the position, sorted, as hexadecimal lines: for comparing two
    // indexes.
    virtual std::vector<std::string> dump_index() const = 0;
};

// Opens or makes the store; replays what the index does not have yet; makes the index anew if it is missing,
// damaged or ahead of the log. `busy` if another process holds it.
Result<std::unique_ptr<LogStore>> open_log_store(LogStoreOptions options);

// ---- maintenance; the store must not be open elsewhere ----

struct VerifyReport {
    std::uint64_t segments = 0, records = 0, messages = 0, octets = 0;
    std::vector<std::string>
        problems;  // one sentence each: what, where, and what it means; empty: all is well
};

// Reads everything: every record's and every message's checksum, and whether the index agrees. Changes
// nothing. `progress` gets octets done and in all.
Result<VerifyReport> verify_log_store(const LogStoreOptions& options,
                                      const std::function<void(std::uint64_t, std::uint64_t)>& progress);

// Throws the index away and makes it from the segments.
Result<void> rebuild_log_store(const LogStoreOptions& options,
                               const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace pier::store
