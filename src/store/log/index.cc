#include "store/log/index.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/write_batch_with_index.h>

#include "store/log/octets.h"

namespace pier::store::log {
namespace {

// The first octet of a key: which table it belongs to.
enum Table : char {
    table_directory = 'd',
    table_entry = 'm',
    table_import = 'i',
    table_mailbox = 'x',
    table_name = 'n',
    table_own = 'p',
    table_reference = 'r',
    table_segment = 's',
    table_usage = 'u',
};

void put_guid(std::string& out, const Guid& guid) {
    out.append(reinterpret_cast<const char*>(guid.bytes.data()), guid.bytes.size());
}

rocksdb::Options rocksdb_options(std::uint64_t cache_octets) {
    rocksdb::Options options;
    options.create_if_missing = true;
    // Opening replays the write-ahead log: it is kept short.
    options.write_buffer_size = 8 << 20;
    options.max_total_wal_size = 16 << 20;
    options.max_background_jobs = 2;
    options.max_open_files = 256;
    options.keep_log_file_num = 2;
    options.info_log_level = rocksdb::WARN_LEVEL;
    options.compression = rocksdb::kNoCompression;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(cache_octets);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.cache_index_and_filter_blocks = true;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return options;
}

Error to_error(const rocksdb::Status& status) {
    const std::string text = "the index: " + status.ToString();
    if (status.IsNoSpace()) return {ErrorKind::no_space, text};
    if (status.IsCorruption()) return {ErrorKind::corrupt, text};
    return {ErrorKind::io, text};
}

rocksdb::Slice slice(std::string_view text) {
    return {text.data(), text.size()};
}

void walk(rocksdb::Iterator& at, const std::string& prefix, const OnPair& on_pair) {
    for (at.Seek(prefix); at.Valid() && at.key().starts_with(prefix); at.Next())
        if (!on_pair(at.key().ToStringView(), at.value().ToStringView())) return;
}

}  // namespace

// ---- values ----

std::string encode(const IndexEntry& entry) {
    std::string out;
    put_number(out, entry.place.packed());
    put_number(out, entry.octets);
    put_number(out, entry.bits);
    put_number(out, static_cast<std::uint8_t>(entry.shared));
    put_number(out, entry.stated_in);
    put_number(out, entry.owner_mailbox);
    put_number(out, entry.owner_uid);
    put_guid(out, entry.guid);
    put_number(out, entry.date_us);
    put_number(out, entry.flags);
    put_number(out, entry.modseq);
    put_number(out, static_cast<std::uint16_t>(entry.also_in.size()));
    for (const std::uint32_t segment : entry.also_in)
        put_number(out, segment);
    put_number(out, static_cast<std::uint8_t>(entry.uidl.size()));
    out += entry.uidl;
    if (entry.import_key)
        out.append(reinterpret_cast<const char*>(entry.import_key->data()), entry.import_key->size());
    return out;
}

template <>
std::optional<IndexEntry> decode(std::string_view octets) {
    OctetReader in(octets);
    IndexEntry entry;
    entry.place = Place::unpack(in.number<std::uint64_t>());
    entry.octets = in.number<std::uint64_t>();
    entry.bits = in.number<std::uint16_t>();
    entry.shared = in.number<std::uint8_t>() != 0;
    entry.stated_in = in.number<std::uint32_t>();
    entry.owner_mailbox = in.number<std::uint64_t>();
    entry.owner_uid = in.number<std::uint32_t>();
    const std::string_view guid = in.text(entry.guid.bytes.size());
    guid.copy(reinterpret_cast<char*>(entry.guid.bytes.data()), guid.size());
    entry.date_us = in.number<std::int64_t>();
    entry.flags = in.number<std::uint64_t>();
    entry.modseq = in.number<std::uint64_t>();
    const auto others = in.number<std::uint16_t>();
    for (unsigned i = 0; i < others && in.ok(); ++i)
        entry.also_in.push_back(in.number<std::uint32_t>());
    entry.uidl = in.text(in.number<std::uint8_t>());
    if (!in.rest().empty()) {
        ImportKey import_key{};
        const std::string_view text = in.text(import_key.size());
        text.copy(reinterpret_cast<char*>(import_key.data()), text.size());
        entry.import_key = import_key;
    }
    if (!in.ok()) return std::nullopt;
    return entry;
}

std::string encode(const MailboxState& state) {
    std::string out;
    put_number(out, state.account);
    put_number(out, state.uid_next);
    put_number(out, state.uid_validity);
    put_number(out, state.modseq);
    put_number(out, state.messages);
    put_number(out, state.octets);
    put_number(out, static_cast<std::uint8_t>(state.gone));
    put_number(out, state.date_us);
    put_number(out, state.stated_in);
    put_number(out, static_cast<std::uint16_t>(state.name.size()));
    out += state.name;
    for (const std::string& keyword : state.keywords) {
        put_number(out, static_cast<std::uint8_t>(keyword.size()));
        out += keyword;
    }
    return out;
}

template <>
std::optional<MailboxState> decode(std::string_view octets) {
    OctetReader in(octets);
    MailboxState state;
    state.account = in.number<std::uint64_t>();
    state.uid_next = in.number<std::uint32_t>();
    state.uid_validity = in.number<std::uint32_t>();
    state.modseq = in.number<std::uint64_t>();
    state.messages = in.number<std::uint64_t>();
    state.octets = in.number<std::uint64_t>();
    state.gone = in.number<std::uint8_t>() != 0;
    state.date_us = in.number<std::int64_t>();
    state.stated_in = in.number<std::uint32_t>();
    state.name = in.text(in.number<std::uint16_t>());
    while (in.ok() && !in.rest().empty())
        state.keywords.emplace_back(in.text(in.number<std::uint8_t>()));
    if (!in.ok()) return std::nullopt;
    return state;
}

std::string encode(const SegmentState& state) {
    std::string out;
    put_number(out, state.octets);
    put_number(out, state.live_octets);
    put_number(out, state.dead_since_us);
    return out;
}

template <>
std::optional<SegmentState> decode(std::string_view octets) {
    OctetReader in(octets);
    SegmentState state;
    state.octets = in.number<std::uint64_t>();
    state.live_octets = in.number<std::uint64_t>();
    state.dead_since_us = in.number<std::int64_t>();
    if (!in.ok()) return std::nullopt;
    return state;
}

std::string encode(const DirectoryState& state) {
    std::string out;
    put_number(out, state.id);
    put_number(out, state.stated_in);
    put_number(out, static_cast<std::uint8_t>(state.gone));
    out += state.value;
    return out;
}

template <>
std::optional<DirectoryState> decode(std::string_view octets) {
    OctetReader in(octets);
    DirectoryState state;
    state.id = in.number<std::uint64_t>();
    state.stated_in = in.number<std::uint32_t>();
    state.gone = in.number<std::uint8_t>() != 0;
    state.value = in.rest();
    if (!in.ok()) return std::nullopt;
    return state;
}

std::string encode(const Usage& usage) {
    std::string out;
    put_number(out, usage.messages);
    put_number(out, usage.octets);
    return out;
}

template <>
std::optional<Usage> decode(std::string_view octets) {
    OctetReader in(octets);
    Usage usage;
    usage.messages = in.number<std::uint64_t>();
    usage.octets = in.number<std::uint64_t>();
    if (!in.ok()) return std::nullopt;
    return usage;
}

template <>
std::optional<Guid> decode(std::string_view octets) {
    Guid guid;
    if (octets.size() != guid.bytes.size()) return std::nullopt;
    octets.copy(reinterpret_cast<char*>(guid.bytes.data()), octets.size());
    return guid;
}

template <>
std::optional<Position> decode(std::string_view octets) {
    OctetReader in(octets);
    Position position;
    position.segment = in.number<std::uint32_t>();
    position.offset = in.number<std::uint64_t>();
    if (!in.ok()) return std::nullopt;
    return position;
}

template <>
std::optional<std::uint64_t> decode(std::string_view octets) {
    OctetReader in(octets);
    const auto value = in.number<std::uint64_t>();
    if (!in.ok()) return std::nullopt;
    return value;
}

template <>
std::optional<std::uint32_t> decode(std::string_view octets) {
    OctetReader in(octets);
    const auto value = in.number<std::uint32_t>();
    if (!in.ok()) return std::nullopt;
    return value;
}

// ---- keys ----

namespace key {

std::string entries(std::uint64_t mailbox) {
    std::string out(1, table_entry);
    put_sorted(out, mailbox);
    return out;
}
std::string entries_all() {
    return std::string(1, table_entry);
}
std::pair<std::uint64_t, Uid> entry_of(std::string_view key) {
    OctetReader in(key.substr(1));
    const auto mailbox = in.sorted<std::uint64_t>();
    return {mailbox, in.sorted<std::uint32_t>()};
}
std::string entry(std::uint64_t mailbox, Uid uid) {
    std::string out = entries(mailbox);
    put_sorted(out, uid);
    return out;
}
std::string mailbox(std::uint64_t mailbox) {
    std::string out(1, table_mailbox);
    put_sorted(out, mailbox);
    return out;
}
std::string mailboxes() {
    return std::string(1, table_mailbox);
}
std::string names(std::uint64_t account) {
    std::string out(1, table_name);
    put_sorted(out, account);
    return out;
}
std::string name(std::uint64_t account, std::string_view name) {
    return names(account) + std::string(name);
}
std::string usage(std::uint64_t account) {
    std::string out(1, table_usage);
    put_sorted(out, account);
    return out;
}
std::string segments() {
    return std::string(1, table_segment);
}
std::string segment(std::uint32_t number) {
    std::string out = segments();
    put_sorted(out, number);
    return out;
}
std::string import_key(std::uint64_t account, const ImportKey& key) {
    std::string out(1, table_import);
    put_sorted(out, account);
    out.append(reinterpret_cast<const char*>(key.data()), key.size());
    return out;
}
std::string directory_all(DirectoryKind kind) {
    std::string out(1, table_directory);
    put_sorted(out, static_cast<std::uint8_t>(kind));
    return out;
}
std::string directory(DirectoryKind kind, std::string_view name) {
    return directory_all(kind) + std::string(name);
}
std::string references(Place place) {
    std::string out(1, table_reference);
    put_sorted(out, place.packed());
    return out;
}
std::string reference(Place place, std::uint64_t mailbox, Uid uid) {
    std::string out = references(place);
    put_sorted(out, mailbox);
    put_sorted(out, uid);
    return out;
}
std::string position() {
    return std::string(1, table_own) + "position";
}
std::string next_id() {
    return std::string(1, table_own) + "next_id";
}
std::string last_guid() {
    return std::string(1, table_own) + "last_guid";
}
std::string store_id() {
    return std::string(1, table_own) + "store_id";
}
Uid entry_uid(std::string_view key) {
    return OctetReader(key.substr(9)).sorted<std::uint32_t>();
}
std::pair<std::uint64_t, Uid> reference_entry(std::string_view key) {
    OctetReader in(key.substr(9));
    const auto mailbox = in.sorted<std::uint64_t>();
    return {mailbox, in.sorted<std::uint32_t>()};
}
std::uint32_t segment_number(std::string_view key) {
    return OctetReader(key.substr(1)).sorted<std::uint32_t>();
}
std::uint64_t mailbox_id(std::string_view key) {
    return OctetReader(key.substr(1)).sorted<std::uint64_t>();
}

}  // namespace key

// ---- access ----

Result<std::unique_ptr<Index>> Index::open(const std::string& folder, std::uint64_t cache_octets) {
    std::unique_ptr<Index> index(new Index);
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
    const auto status = rocksdb::DestroyDB(folder, rocksdb::Options());
    if (!status.ok()) return to_error(status);
    return {};
}

Index::~Index() {
    if (!db_) return;
    // So that the next opening has no write-ahead log to replay. Failing here loses nothing.
    static_cast<void>(db_->Flush(rocksdb::FlushOptions()));
    static_cast<void>(db_->Close());
}

Result<std::optional<std::string>> Index::get(const std::string& key) const {
    std::string value;
    const auto status = db_->Get(rocksdb::ReadOptions(), key, &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return to_error(status);
    return std::optional<std::string>(std::move(value));
}

Result<void> Index::each(const std::string& prefix, const OnPair& on_pair) const {
    std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(rocksdb::ReadOptions()));
    walk(*at, prefix, on_pair);
    if (!at->status().ok()) return to_error(at->status());
    return {};
}

Result<void> Index::sync() {
    const auto status = db_->FlushWAL(true);
    if (!status.ok()) return to_error(status);
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

void Batch::each(const std::string& prefix, const OnPair& on_pair) const {
    std::unique_ptr<rocksdb::Iterator> at(
        changes_->NewIteratorWithBase(index_.db_->NewIterator(rocksdb::ReadOptions())));
    walk(*at, prefix, on_pair);
    note(at->status());
}

Result<void> Batch::commit() {
    if (failure_) return *failure_;
    const auto status = index_.db_->Write(rocksdb::WriteOptions(), changes_->GetWriteBatch());
    clear();
    if (!status.ok()) return to_error(status);
    return {};
}

void Batch::clear() {
    changes_->Clear();
    failure_.reset();
}

}  // namespace pier::store::log
