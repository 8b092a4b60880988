// The store: messages and mailboxes of accounts, and the directory of accounts itself, durable.
//
// Two engines implement this interface and pass one conformance suite (tests/store): log/ (embedded) and,
// later, rados/.
//
// Promises, whatever the engine:
//  - A change's `done` is called with success only when the change is on disk. If the process or the machine
//  dies before,
//    the change may or may not be there afterwards; if it dies after, it is.
//  - A message is stored exactly as it travels: CRLF line ends, no dot-stuffing. `octets` is exact, 64-bit.
//  - A UID (RFC 3501 §2.3.1.1) is never reused in its mailbox; a UIDL (RFC 1939 §7) never changes.
//  - A Snapshot does not change, and every message in it can be read to its end, even after another session
//  removed it.
//  - When the disk is full a change fails with ErrorKind::no_space, nothing of it stays, and reading goes on.
//  When a sync
//    fails, nothing is known about the disk any more: every later change fails with ErrorKind::stopped and
//    StoreOptions::on_fatal is called once; the process should end.
//
// Threads: every function may be called from any thread. A `done` runs on a thread of the store (never inside
// the call that took it) and must be short: post to your event loop. Functions that return a Result directly
// may read the disk: do not call them on an event loop, except where stated.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace pier::store {

enum class AccountId : std::uint64_t {};  // given by the store, never reused; 0 is none
enum class MailboxId : std::uint64_t {
};                          // given by the store, never reused, unique in the whole store; 0 is none
using Uid = std::uint32_t;  // ascending in a mailbox; never 0, never reused

// 128 bits, unique, ascending in time: 48 bits of milliseconds, then a counter and random bits.
struct Guid {
    std::array<std::uint8_t, 16> bytes{};
    auto operator<=>(const Guid&) const = default;
    void append_hex(std::string& out) const;
    Time time() const;        // when it was made
    std::string hex() const;  // 32 lower-case digits; the UIDL of a message that did not bring its own
};

// Message flags (RFC 9051 §2.3.2). Bits 16 to 63 are the mailbox's own keywords, named in its keyword table.
using Flags = std::uint64_t;
namespace flag {
inline constexpr Flags seen = 1, answered = 2, flagged = 4, deleted = 8, draft = 16, forwarded = 32;
}

template <class T>
using Done = std::function<void(Result<T>)>;

// ---- the directory: small named records of those above the store (accounts, aliases, domains, queued mail)
// ----

enum class DirectoryKind : std::uint8_t { account = 1, alias = 2, domain = 3, setting = 4, queue = 5 };

struct DirectoryRecord {
    DirectoryKind kind{};
    std::string key;       // at most 1,024 octets, unique within its kind
    std::uint64_t id = 0;  // given by the store at the first put; an account's AccountId
    std::string value;     // at most 1 MiB; the store does not look inside
};

// ---- writing a message ----

// The octets of one message on their way in: memory first, an unlinked file of the store when they grow. One
// thread at a time. Dropping it forgets them.
class Spool {
  public:
    virtual ~Spool() = default;
    // Adds octets (CRLF line ends already). Fails with no_space, io, or invalid when the message is over the
    // size limit.
    virtual Result<void> write(std::string_view octets) = 0;
    virtual std::uint64_t octets() const = 0;
    // Reads what was written, up to out.size() octets at `offset`; fewer only at the end. May wait for the
    // disk. `invalid`: this one cannot be read.
    virtual Result<std::size_t> read(std::uint64_t offset, std::span<char> out) const {
        static_cast<void>(offset), static_cast<void>(out);
        return Error(ErrorKind::invalid, "what is on its way in cannot be read");
    }
};

using ImportKey = std::array<std::uint8_t, 16>;

struct Target {
    MailboxId mailbox{};
    Flags flags = 0;
    std::uint64_t quota_octets = 0;  // the account's quota; 0 is none. More than that: over_quota
    std::string uidl;  // empty: the GUID's digits. At most 70 octets, 0x21 to 0x7E (RFC 1939 §7)
    std::optional<ImportKey>
        import_key;  // the same key is stored once per account, ever: later ones say `exists`
};

struct NewMessage {
    std::unique_ptr<Spool> spool;
    std::string prefix;           // octets in front of the spool's, the same for all targets (trace fields)
    std::vector<Target> targets;  // the octets are stored once, however many
    Time internal_date{};
    // One target that is refused refuses all, with the same error. The targets are mailboxes of different
    // accounts.
    bool all_or_none = false;
};

struct Appended {
    Guid guid;
    Uid uid = 0;
    std::uint64_t modseq = 0;
};

// ---- reading ----

// One message of a snapshot; small, because a mailbox may have millions. Bit fields, because nobody can take
// a reference to one: at four octets' alignment it would not be a good one.
#pragma pack(push, 4)
struct Entry {
    Guid guid;
    std::uint64_t place : 64 = 0;  // the engine's own
    std::uint64_t octets : 48 = 0;
    std::uint64_t bits : 16 = 0;  // the engine's own
    Uid uid = 0;
};
#pragma pack(pop)
static_assert(sizeof(Entry) == 36);

struct Details {
    Flags flags = 0;
    std::uint64_t modseq = 0;
    Time internal_date{};
    std::optional<ImportKey> import_key = std::nullopt;  // of a message that was imported into this mailbox
};

// Part of an open file, for sendfile(2). The file stays open as long as the Body lives.
struct FileRange {
    int fd = -1;
    std::uint64_t offset = 0;
};

enum class Wait { may_block, no_wait };

// The octets of one stored message. One thread at a time.
class Body {
  public:
    virtual ~Body() = default;
    virtual std::uint64_t octets() const = 0;
    virtual bool has_dot_lines() const = 0;  // some line begins with a dot: it must be stuffed to be sent
    // It is empty or ends with CRLF. Known once verify() or load() has succeeded.
    virtual bool complete() const = 0;
    // Reads up to out.size() octets at `offset`; fewer only at the end. With Wait::no_wait it fails with
    // `busy` instead of waiting for the disk (then ask again on a thread that may wait).
    virtual Result<std::size_t> read(std::uint64_t offset, std::span<char> out, Wait wait) = 0;
    // Checks all octets against their checksum; `corrupt` if they differ, `busy` as in read. A message is
    // verified before its first octet is sent, so a client never gets damaged mail under +OK. An engine may
    // remember for some minutes that it was.
    virtual Result<void> verify(Wait wait) = 0;
    // Reads the whole message with one access to the disk, and verifies it: the cheapest way for one that is
    // small. The octets lie inside `buffer`, which must have room for octets() + load_room_octets (else
    // `invalid`), not necessarily at its beginning. Fails like verify().
    static constexpr std::size_t load_room_octets = 256;
    virtual Result<std::string_view> load(std::span<char> buffer, Wait wait) = 0;
    // Where they lie, once verify(), read() or load() has succeeded; absent: only read() works.
    virtual std::optional<FileRange> file() const = 0;
};

// A mailbox as it was at one moment. Immutable: any thread, any time, no waiting except where stated.
class Snapshot {
  public:
    virtual ~Snapshot() = default;
    virtual MailboxId mailbox() const = 0;
    virtual std::span<const Entry> entries() const = 0;  // by ascending UID
    virtual std::uint64_t octets() const = 0;            // the sum
    virtual std::uint64_t modseq() const = 0;
    virtual void append_uidl(std::size_t index, std::string& out) const = 0;
    std::string uidl(std::size_t index) const {
        std::string out;
        append_uidl(index, out);
        return out;
    }
    virtual Result<Details> details(std::size_t index) const = 0;  // may block; the present flags
    virtual Result<std::unique_ptr<Body>> body(
        std::size_t index) const = 0;  // opening does not wait for the disk
};

struct MailboxInfo {
    MailboxId id{};
    AccountId account{};
    std::string name;  // "INBOX", "Trash", "Work/2026": UTF-8, hierarchy by '/'
    std::uint32_t uid_validity = 0;
    Uid uid_next = 1;
    std::uint64_t modseq = 0;
    std::uint64_t messages = 0;
    std::uint64_t octets = 0;
};

// A mailbox whose name begins with a dot is kept aside: it holds what was deleted from the others and may be
// brought back (maildrop/). It counts neither for an account's usage nor for its quota.
constexpr bool is_kept_aside(std::string_view mailbox) {
    return mailbox.starts_with('.');
}

// Of all mailboxes that are not kept aside.
struct Usage {
    std::uint64_t messages = 0;
    std::uint64_t octets = 0;
};

struct FlagChange {
    Uid uid = 0;
    Flags flags = 0;  // the new set, whole
};

struct Stats {
    std::uint64_t accounts = 0, mailboxes = 0, messages = 0;
    std::uint64_t segments = 0, segment_octets = 0, live_octets = 0;
    std::uint64_t groups = 0, group_records = 0;  // since start: syncs, and records made durable by them
    std::uint64_t cleaned_segments = 0;
};

class Store {
  public:
    virtual ~Store() = default;  // waits for what is under way, then closes

    // Directory. put: creates or replaces; `id` 0 keeps the present id or gets a new one. The id comes back.
    virtual void put(DirectoryRecord record, Done<std::uint64_t> done) = 0;
    virtual void erase(DirectoryKind kind, std::string key,
                       Done<void> done) = 0;  // not_found if it is not there
    virtual Result<std::optional<DirectoryRecord>> get(DirectoryKind kind, std::string_view key) const = 0;
    virtual Result<std::vector<DirectoryRecord>> list(DirectoryKind kind) const = 0;  // by key
    // The same one after the other, for kinds of which there may be very many. What `on_record` does must not
    // change the store.
    virtual Result<void> each(DirectoryKind kind,
                              const std::function<void(DirectoryRecord)>& on_record) const;

    // Mailboxes. create: gives back the present one if the account has one of that name ("INBOX" in any
    // case).
    virtual void create_mailbox(AccountId account, std::string name, Done<MailboxId> done) = 0;
    virtual void rename_mailbox(MailboxId mailbox, std::string name, Done<void> done) = 0;
    virtual void remove_mailbox(MailboxId mailbox, Done<void> done) = 0;              // with all its messages
    virtual Result<std::vector<MailboxInfo>> mailboxes(AccountId account) const = 0;  // by name
    virtual Result<Usage> usage(AccountId account) const = 0;
    // For each of the keys whether the account has ever had a message of it: an append with it would fail
    // with `exists`.
    virtual Result<std::vector<bool>> imported(AccountId account, std::span<const ImportKey> keys) const = 0;

    // Messages. A fresh spool takes at most StoreOptions::message_octets_max.
    virtual std::unique_ptr<Spool> new_spool() = 0;
    // One result per target, in order (a quota or a missing mailbox fails one, not the others, unless they
    // are all_or_none); the outer failure is all.
    virtual void append(NewMessage message, Done<std::vector<Result<Appended>>> done) = 0;
    // A UID that is not there (any more) is passed over. Gives the number that were removed.
    virtual void expunge(MailboxId mailbox, std::vector<Uid> uids, Done<std::uint64_t> done) = 0;
    virtual void set_flags(MailboxId mailbox, std::vector<FlagChange> changes, Done<void> done) = 0;
    // Copies (or, atomically per message, moves) within one account: a moved message keeps its GUID and UIDL,
    // a copy gets new ones; new UIDs in order, 0 for a message that is gone.
    enum class Source { keep, remove };
    virtual void copy(MailboxId from, std::vector<Uid> uids, MailboxId to, Source source,
                      Done<std::vector<Uid>> done) = 0;
    // With Wait::no_wait it fails with `busy` instead of waiting for the disk or reading a long listing (then
    // ask again on a thread that may wait); an event loop may call that.
    virtual Result<std::shared_ptr<const Snapshot>> open(MailboxId mailbox, Wait wait = Wait::may_block) = 0;

    // The octets of one message whose UID is known, without the listing of its mailbox: what a mailbox costs
    // that changes with every message. not_found if it is not there (any more). May block.
    virtual Result<std::unique_ptr<Body>> body(MailboxId mailbox, Uid uid);

    virtual Stats stats() const = 0;
    virtual bool failed() const = 0;  // a sync failed: nothing is accepted any more
};

// What an engine need not do better: made of its other functions.
inline Result<void> Store::each(DirectoryKind kind,
                                const std::function<void(DirectoryRecord)>& on_record) const {
    auto records = list(kind);
    if (!records) return records.error();
    for (DirectoryRecord& record : *records)
        on_record(std::move(record));
    return {};
}

inline Result<std::unique_ptr<Body>> Store::body(MailboxId mailbox, Uid uid) {
    const auto snapshot = open(mailbox);
    if (!snapshot) return snapshot.error();
    const auto entries = (*snapshot)->entries();
    for (std::size_t i = 0; i < entries.size(); ++i)
        if (entries[i].uid == uid) return (*snapshot)->body(i);
    return Error{ErrorKind::not_found, "the message has been removed"};
}

}  // namespace pier::store
