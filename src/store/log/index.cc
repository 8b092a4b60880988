#include "store/log/index.h"

#include <array>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <new>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>
#include <rocksdb/utilities/write_batch_with_index.h>

#include "base/log.h"

namespace pier::store::log {
namespace {

// Of changes that are in memory alone. After a crash they are replayed from the log.
constexpr std::size_t memtable_octets = 8 << 20;
// As many removed keys among so many behind each other make RocksDB clean up.
constexpr std::size_t deletions_window = 4096, deletions_trigger = 2048;
// Keys are looked up one by one if they are fewer than this, and with steps up to this far apart walked to.
constexpr std::size_t walk_keys_min = 8;
constexpr int walk_steps_max = 8;

// What RocksDB has to say comes into our log. A log file of its own would be the end of the process when it
// cannot be written: the line behind one that failed (a full disk) is an assert of Debian's RocksDB.
class IndexLogger : public rocksdb::Logger {
  public:
    IndexLogger() : Logger(rocksdb::WARN_LEVEL) {}
    using Logger::Logv;
    void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
        if (level < rocksdb::WARN_LEVEL || level == rocksdb::HEADER_LEVEL) return;
        std::array<char, 512> text{};
        std::vsnprintf(text.data(), text.size(), format, arguments);
        pier::log::warning("store.index", {{"rocksdb", text.data()}});
    }
    void Logv(const char*, va_list) override {}
    void LogHeader(const char*, va_list) override {}
};

// After a lack of space RocksDB would look every five seconds whether there is some again, and refuse
// resume() meanwhile. We ask when something is to be written.
class NoRecoveryByItself : public rocksdb::EventListener {
  public:
    void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* recover) override {
        *recover = false;
    }
};

rocksdb::Options rocksdb_options(std::uint64_t cache_octets) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = memtable_octets;
    options.max_background_jobs = 2;
    options.max_open_files = 256;
    options.info_log = std::make_shared<IndexLogger>();
    options.listeners.push_back(std::make_shared<NoRecoveryByItself>());
    options.compression = rocksdb::kNoCompression;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(cache_octets);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    // In parts of 4 KiB. Whole, the filter of a million keys is larger than what the cache takes as one
    // piece: it was read from the file and checked again for every single key.
    table.cache_index_and_filter_blocks = true;
    table.cache_index_and_filter_blocks_with_high_priority = true;
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.partition_filters = true;
    table.metadata_block_size = 4096;
    table.pin_top_level_index_and_filter = true;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    // A mailbox whose messages were all removed must not stay slow to walk through.
    options.table_properties_collector_factories.push_back(
        rocksdb::NewCompactOnDeletionCollectorFactory(deletions_window, deletions_trigger));
    return options;
}

Error to_error(const rocksdb::Status& status) {
    const std::string text = "the index: " + status.ToString();
    if (status.IsIncomplete()) return {ErrorKind::busy, "the index has to be read from the disk"};
    if (status.IsNoSpace()) return {ErrorKind::no_space, text};
    if (status.IsCorruption()) return {ErrorKind::corrupt, text};
    return {ErrorKind::io, text};
}

rocksdb::Slice slice(std::string_view text) {
    return {text.data(), text.size()};
}

void walk(rocksdb::Iterator& at, const std::string& from, const std::string& prefix, const OnPair& on_pair) {
    for (at.Seek(from); at.Valid() && at.key().starts_with(prefix); at.Next())
        if (!on_pair(at.key().ToStringView(), at.value().ToStringView())) return;
}

}  // namespace

Result<std::unique_ptr<Index>> Index::open(const std::string& folder, std::uint64_t cache_octets) {
    std::unique_ptr<Index> index(new Index);
    // Else RocksDB warns that it is not there, which frightens who starts Pier for the first time.
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::Open(rocksdb_options(cache_octets), folder, &db);
    if (!status.ok()) return to_error(status);
    index->db_.reset(db);
    return index;
}

Result<std::unique_ptr<Index>> Index::open_read_only(const std::string& folder) {
    std::unique_ptr<Index> index(new Index);
    rocksdb::Options options = rocksdb_options(8 << 20);
    options.create_if_missing = false;
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::OpenForReadOnly(options, folder, &db);
    if (!status.ok()) return to_error(status);
    index->db_.reset(db);
    return index;
}

Result<void> Index::destroy(const std::string& folder) {
    rocksdb::Options options;
    options.info_log = std::make_shared<IndexLogger>();
    const auto status = rocksdb::DestroyDB(folder, options);
    if (!status.ok()) return to_error(status);
    return {};
}

Index::~Index() {
    if (!db_) return;
    // So that the next opening has nothing to replay. Failing here loses nothing.
    static_cast<void>(flush(Wait::may_block));
    static_cast<void>(db_->Close());
}

Index::Figures Index::figures() const {
    const auto of = [this](const std::string& property) {
        std::uint64_t value = 0;
        return db_->GetIntProperty(property, &value) ? value : 0;
    };
    return {of(rocksdb::DB::Properties::kTotalSstFilesSize), of(rocksdb::DB::Properties::kBlockCacheUsage),
            of(rocksdb::DB::Properties::kCurSizeAllMemTables)};
}

Index::Moment::Moment(const Index& index) : index_(index), snapshot_(index.db_->GetSnapshot()) {}
Index::Moment::~Moment() {
    index_.db_->ReleaseSnapshot(snapshot_);
}

Result<std::optional<std::string>> Index::get(const std::string& key, const Moment* as_of, Wait wait) const {
    rocksdb::ReadOptions options;
    if (wait == Wait::no_wait) options.read_tier = rocksdb::kBlockCacheTier;
    if (as_of != nullptr) options.snapshot = as_of->snapshot_;
    std::string value;
    const auto status = db_->Get(options, key, &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return to_error(status);
    return std::optional<std::string>(std::move(value));
}

Result<void> Index::each(const std::string& prefix, const OnPair& on_pair) const {
    return each_from(prefix, prefix, nullptr, on_pair);
}

Result<void> Index::each_from(const std::string& from, const std::string& prefix, const Moment* as_of,
                              const OnPair& on_pair, Wait wait) const {
    rocksdb::ReadOptions options;
    if (wait == Wait::no_wait) options.read_tier = rocksdb::kBlockCacheTier;
    if (as_of != nullptr) options.snapshot = as_of->snapshot_;
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(options));
    walk(*at, from, prefix, on_pair);
    if (!at->status().ok()) return to_error(at->status());
    return {};
}

Result<std::optional<IndexEntry>> Index::entry(std::uint64_t mailbox, Uid uid) const {
    const auto value = get(key::entry(mailbox, uid));
    if (!value) return value.error();
    if (!*value) return std::optional<IndexEntry>();
    auto decoded = decode_entry(**value, mailbox, uid);
    if (!decoded) return malformed();
    return decoded;
}

Error Index::malformed() {
    return {ErrorKind::corrupt, "a value of the index is malformed; `pier store rebuild` makes it anew"};
}

Result<void> Index::flush(Wait wait) {
    rocksdb::FlushOptions options;
    options.wait = wait == Wait::may_block;
    const auto status = db_->Flush(options);
    if (!status.ok()) return to_error(status);
    return {};
}

// Without RocksDB's write-ahead log: the segments are one. It could not be trusted either: what a power
// failure leaves of a file that was not synced may have holes, pages of zeros, and RocksDB passes over those
// without a word. What it flushes from memory is all that was committed up to some moment, and the position
// with it.
Result<void> Index::write(rocksdb::WriteBatch& batch) {
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    try {
        const auto status = db_->Write(options, &batch);
        if (!status.ok()) return to_error(status);
    } catch (const std::bad_alloc&) {
        return Error{ErrorKind::io, "the index: no memory for a change, half of which may be made"};
    }
    return {};
}

bool Index::resume() {
    return db_->Resume().ok();
}

Batch::Batch(Index& index)
    : index_(index),
      changes_(std::make_unique<rocksdb::WriteBatchWithIndex>(rocksdb::BytewiseComparator(), 0, true)) {}
Batch::~Batch() = default;

void Batch::note(const rocksdb::Status& status) const {
    if (!status.ok() && !status.IsNotFound() && !failure_) failure_ = to_error(status);
}

void Batch::put(const std::string& key, std::string_view value) {
    note(changes_->Put(key, slice(value)));
}

void Batch::erase(const std::string& key) {
    note(changes_->Delete(key));
}

std::optional<std::string> Batch::get(const std::string& key) const {
    std::string value;
    const auto status = changes_->GetFromBatchAndDB(index_.db_.get(), rocksdb::ReadOptions(), key, &value);
    note(status);
    if (!status.ok()) return std::nullopt;
    return value;
}

std::optional<IndexEntry> Batch::entry(std::uint64_t mailbox, Uid uid) const {
    const auto value = get(key::entry(mailbox, uid));
    return value ? decode_entry(*value, mailbox, uid) : std::nullopt;
}

void Batch::entries(std::uint64_t mailbox, std::span<const Uid> uids, const OnEntry& on_entry) const {
    if (uids.size() < walk_keys_min) {
        for (const Uid uid : uids)
            if (auto found = entry(mailbox, uid)) on_entry(uid, std::move(*found));
        return;
    }
    const std::unique_ptr<rocksdb::Iterator> at(
        changes_->NewIteratorWithBase(index_.db_->NewIterator(rocksdb::ReadOptions())));
    at->Seek(key::entry(mailbox, uids.front()));
    for (const Uid uid : uids) {
        const std::string wanted = key::entry(mailbox, uid);
        for (int steps = 0; at->Valid() && at->key().compare(wanted) < 0; ++steps) {
            if (steps < walk_steps_max)
                at->Next();
            else
                at->Seek(wanted);
        }
        if (!at->Valid()) break;
        if (at->key() != wanted) continue;
        if (auto found = decode_entry(at->value().ToStringView(), mailbox, uid))
            on_entry(uid, std::move(*found));
    }
    note(at->status());
}

void Batch::each(const std::string& prefix, const OnPair& on_pair) const {
    std::unique_ptr<rocksdb::Iterator> at(
        changes_->NewIteratorWithBase(index_.db_->NewIterator(rocksdb::ReadOptions())));
    walk(*at, prefix, prefix, on_pair);
    note(at->status());
}

Result<void> Batch::commit() {
    if (failure_) return *failure_;
    auto written = index_.write(*changes_->GetWriteBatch());
    clear();
    return written;
}

void Batch::clear() {
    changes_->Clear();
    failure_.reset();
}

}  // namespace pier::store::log
