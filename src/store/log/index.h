// The index: what the segments say, sorted for finding. Derived: it can always be made again from the
// segments. RocksDB holds it; keys are ours (docs/disk-format.md). Any thread reads; one thread writes,
// through a Batch.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/log/record.h"

namespace rocksdb {
class DB;
class Snapshot;
class Status;
class WriteBatch;
class WriteBatchWithIndex;
}  // namespace rocksdb

namespace pier::store::log {

// Of keys and values. An index of another form is made anew.
inline constexpr std::uint32_t index_form = 2;

// ---- values ----

// A message in a mailbox.
struct IndexEntry {
    Place place;  // of the record that holds the octets
    std::uint64_t octets = 0;
    std::uint16_t bits = 0;       // of the record
    bool shared = false;          // other entries may have the same place: look at the references
    std::uint32_t stated_in = 0;  // the segment whose record states this entry, the last if many do …
    std::vector<std::uint32_t> also_in;  // … and the others that were there when it did
    std::uint64_t owner_mailbox = 0;  // the entry that the record at `place` was written for: often this one
    Uid owner_uid = 0;
    Guid guid;
    std::int64_t date_us = 0;
    Flags flags = 0;
    std::uint64_t modseq = 0;
    std::string uidl;  // empty: the GUID's digits
    std::optional<ImportKey> import_key;
};

// What a listing needs of an entry.
struct ListedEntry {
    Guid guid;
    Place place;
    std::uint64_t octets = 0;
    std::uint16_t bits = 0;
    std::string_view uidl;  // inside the value
};

struct MailboxState {
    std::uint64_t account = 0;
    Uid uid_next = 1;
    std::uint32_t uid_validity = 0;
    std::uint64_t modseq = 0;
    std::uint64_t messages = 0, octets = 0;
    bool gone = false;
    std::int64_t date_us = 0;  // made, or removed
    std::uint32_t stated_in = 0;
    std::string name;
    std::vector<std::string> keywords;
};

struct SegmentState {
    std::uint64_t octets = 0;        // of records
    std::uint64_t live_octets = 0;   // of records whose message somebody still has
    std::int64_t dead_since_us = 0;  // when the first message in it was removed; 0: none has been
};

struct DirectoryState {
    std::uint64_t id = 0;
    std::uint32_t stated_in = 0;
    bool gone = false;
    std::string value;
};

struct Position {
    std::uint32_t segment = 0;
    std::uint64_t offset = 0;  // everything before it is in the index
};

// An entry's value leaves out what follows from its key.
std::string encode_entry(const IndexEntry& entry, std::uint64_t mailbox, Uid uid);
std::optional<IndexEntry> decode_entry(std::string_view octets, std::uint64_t mailbox, Uid uid);
std::optional<ListedEntry> decode_listed(std::string_view octets);
std::string encode(const MailboxState& state);
std::string encode(const SegmentState& state);
std::string encode(const DirectoryState& state);
template <class T>
std::optional<T> decode(std::string_view octets);  // absent if malformed
template <>
std::optional<MailboxState> decode(std::string_view octets);
template <>
std::optional<SegmentState> decode(std::string_view octets);
template <>
std::optional<DirectoryState> decode(std::string_view octets);
template <>
std::optional<Guid> decode(std::string_view octets);
template <>
std::optional<Position> decode(std::string_view octets);
template <>
std::optional<std::uint64_t> decode(std::string_view octets);
template <>
std::optional<std::uint32_t> decode(std::string_view octets);

// ---- keys ----

namespace key {
std::string entry(std::uint64_t mailbox, Uid uid);
std::string entries(std::uint64_t mailbox);  // the prefix of all
std::string entries_all();
std::pair<std::uint64_t, Uid> entry_of(std::string_view key);  // mailbox and UID
std::string mailbox(std::uint64_t mailbox);
std::string mailboxes();
std::string name(std::uint64_t account, std::string_view name);
std::string names(std::uint64_t account);
std::string segment(std::uint32_t number);
std::string segments();
std::string import_key(std::uint64_t account, const ImportKey& key);
std::string directory(DirectoryKind kind, std::string_view name);
std::string directory_all(DirectoryKind kind);
std::string reference(Place place, std::uint64_t mailbox, Uid uid);
std::string references(Place place);
std::string position();
std::string next_id();
std::string last_guid();
std::string store_id();
std::string form();
Uid entry_uid(std::string_view key);
std::pair<std::uint64_t, Uid> reference_entry(std::string_view key);
std::uint64_t mailbox_id(std::string_view key);
std::uint32_t segment_number(std::string_view key);
}  // namespace key

// ---- access ----

// Called for each key and value; false ends it.
using OnPair = std::function<bool(std::string_view key, std::string_view value)>;
using OnEntry = std::function<void(Uid uid, IndexEntry entry)>;

class Index {
  public:
    // Opens or makes it. `corrupt` if it cannot be used: then destroy() it and make it again.
    static Result<std::unique_ptr<Index>> open(const std::string& folder, std::uint64_t cache_octets);
    static Result<std::unique_ptr<Index>> open_read_only(const std::string& folder);
    static Result<void> destroy(const std::string& folder);
    ~Index();

    // The index as it is now: what is read `as_of` it belongs together. The index outlives it.
    class Moment {
      public:
        explicit Moment(const Index& index);
        ~Moment();
        Moment(const Moment&) = delete;
        Moment& operator=(const Moment&) = delete;

      private:
        friend class Index;
        const Index& index_;
        const rocksdb::Snapshot* const snapshot_;
    };

    // Wait::no_wait fails with `busy` instead of waiting for the disk.
    Result<std::optional<std::string>> get(const std::string& key, const Moment* as_of = nullptr,
                                           Wait wait = Wait::may_block) const;
    // All pairs under a prefix, as of one moment.
    Result<void> each(const std::string& prefix, const OnPair& on_pair) const;
    // Those from the key `from` on.
    Result<void> each_from(const std::string& from, const std::string& prefix, const Moment* as_of,
                           const OnPair& on_pair, Wait wait = Wait::may_block) const;
    Result<std::optional<IndexEntry>> entry(std::uint64_t mailbox, Uid uid) const;

    // How large it is now. Never waits for the disk.
    struct Figures {
        std::uint64_t file_octets = 0, cached_octets = 0, memory_octets = 0;  // memory: not flushed yet
    };
    Figures figures() const;

    template <class T>
    Result<std::optional<T>> get_as(const std::string& key, const Moment* as_of = nullptr,
                                    Wait wait = Wait::may_block) const {
        auto value = get(key, as_of, wait);
        if (!value) return value.error();
        if (!*value) return std::optional<T>();
        auto decoded = decode<T>(**value);
        if (!decoded) return malformed();
        return decoded;
    }
    static Error malformed();

    // After a failed write for lack of space: tries to go on. False if it cannot yet.
    bool resume();

    // Makes durable what has been committed; without waiting for that if the caller may not block. Needed
    // before something goes that an older index would miss, and now and then, so that a crash leaves little
    // to replay.
    Result<void> flush(Wait wait);

  private:
    friend class Batch;
    Index() = default;
    Result<void> write(rocksdb::WriteBatch& batch);
    std::unique_ptr<rocksdb::DB> db_;
};

// Changes that become visible together. Reads see the index with the changes made so far. One thread.
class Batch {
  public:
    explicit Batch(Index& index);
    ~Batch();

    void put(const std::string& key, std::string_view value);
    void erase(const std::string& key);
    std::optional<std::string> get(const std::string& key) const;  // a failing index is told by commit()
    std::optional<IndexEntry> entry(std::uint64_t mailbox, Uid uid) const;
    // Those of these that are there. `uids` ascend; many are found faster than one by one. Nothing may be
    // changed meanwhile.
    void entries(std::uint64_t mailbox, std::span<const Uid> uids, const OnEntry& on_entry) const;
    void each(const std::string& prefix, const OnPair& on_pair) const;

    template <class T>
    std::optional<T> get_as(const std::string& key) const {
        const auto value = get(key);
        return value ? decode<T>(*value) : std::nullopt;
    }

    Result<void> commit();  // in memory, until it is flushed: the log is the truth
    void clear();
    // What commit() would fail with already, because something could not be read.
    const std::optional<Error>& failure() const { return failure_; }

  private:
    void note(const rocksdb::Status& status) const;
    Index& index_;
    std::unique_ptr<rocksdb::WriteBatchWithIndex> changes_;
    mutable std::optional<Error> failure_;
};

}  // namespace pier::store::log
