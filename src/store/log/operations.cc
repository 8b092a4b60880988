#include "store/log/operations.h"

#include <algorithm>

#include <boost/algorithm/string/predicate.hpp>
#include <fmt/format.h>

#include "store/log/checksum.h"
#include "store/log/octets.h"

namespace pier::store::log {
namespace {

constexpr std::size_t removals_per_record_max = 65536;
constexpr std::size_t uidl_octets_max = 70;  // RFC 1939 §7
constexpr std::size_t mailbox_name_octets_max = 1024;
constexpr std::size_t directory_key_octets_max = 1024;
constexpr std::size_t directory_value_octets_max = 1 << 20;

std::uint64_t number(MailboxId id) {
    return static_cast<std::uint64_t>(id);
}

Error no_mailbox() {
    return {ErrorKind::not_found, "there is no such mailbox (any more)"};
}

// An operation that ends with one value for all. build() gives it to succeed() or refuse().
template <class T>
class Answering : public Operation {
  public:
    explicit Answering(Done<T> done) : done_(std::move(done)) {}
    void finish(const std::optional<Error>& failure) override {
        if (failure) return done_(*failure);
        done_(std::move(result_));
    }

  protected:
    void succeed(T value) { result_ = std::move(value); }
    void refuse(Error error) { result_ = std::move(error); }

  private:
    Done<T> done_;
    Result<T> result_ = Error{ErrorKind::stopped, "nothing was done"};
};

template <>
class Answering<void> : public Operation {
  public:
    explicit Answering(Done<void> done) : done_(std::move(done)) {}
    void finish(const std::optional<Error>& failure) override {
        if (failure) return done_(*failure);
        done_(result_);
    }

  protected:
    void refuse(Error error) { result_ = std::move(error); }

  private:
    Done<void> done_;
    Result<void> result_;
};

// ---- messages ----

class AppendOperation : public Answering<std::vector<Result<Appended>>> {
  public:
    // What is in memory is looked through here, on the caller's thread: there are many of those, and one
    // appender.
    AppendOperation(NewMessage message, Done<std::vector<Result<Appended>>> done)
        : Answering(std::move(done)), message_(std::move(message)), bits_(dot_lines() ? bit::dot_lines : 0) {
        if (spool().file() != nullptr) return;
        Checksum sum;
        sum.add(message_.prefix);
        sum.add(spool().memory());
        checksum_ = sum.value();
    }

    std::uint64_t octets() const override { return spool().octets() + message_.prefix.size(); }
    bool may_use_reserve() const override { return false; }

    void build(Group& group) override {
        std::vector<Result<Appended>> results;
        if (const auto refusal = refusal_of_all(group)) {
            results.assign(message_.targets.size(), *refusal);
        } else {
            for (const Target& target : message_.targets)
                results.push_back(add(group, target));
        }
        succeed(std::move(results));
    }

  private:
    const LogSpool& spool() const { return static_cast<const LogSpool&>(*message_.spool); }

    std::optional<Error> refusal_of_all(Group& group) const {
        if (!message_.all_or_none) return std::nullopt;
        for (const Target& target : message_.targets) {
            const MailboxState* mailbox = group.state().mailbox(number(target.mailbox));
            if (mailbox == nullptr) return no_mailbox();
            if (auto refusal = refusal_of(group, target, *mailbox)) return refusal;
        }
        return std::nullopt;
    }

    Result<Appended> add(Group& group, const Target& target) {
        const std::uint64_t id = number(target.mailbox);
        const MailboxState* mailbox = group.state().mailbox(id);
        if (mailbox == nullptr) return no_mailbox();
        if (auto refusal = refusal_of(group, target, *mailbox)) return *refusal;
        IndexEntry entry;
        entry.guid = group.next_guid();
        entry.octets = octets();
        entry.date_us = message_.internal_date.time_since_epoch().count();
        entry.flags = target.flags;
        entry.modseq = mailbox->modseq + 1;
        entry.uidl = target.uidl;
        entry.import_key = target.import_key;
        entry.bits = bits_;
        const Uid uid = mailbox->uid_next;
        if (owner_uid_ == 0) {
            body_ = group.add(message_record(id, uid, mailbox->account, entry),
                              {message_.prefix, &spool(), nullptr, 0, 0, checksum_});
            owner_mailbox_ = id;
            owner_uid_ = uid;
        } else {
            entry.place = body_;
            entry.owner_mailbox = owner_mailbox_;
            entry.owner_uid = owner_uid_;
            group.add(copy_record(id, uid, mailbox->account, entry));
        }
        return Appended{entry.guid, uid, entry.modseq};
    }

    std::optional<Error> refusal_of(Group& group, const Target& target, const MailboxState& mailbox) const {
        if (mailbox.uid_next == 0xFFFFFFFF)
            return Error{ErrorKind::busy,
                         "the mailbox has used all its UIDs; move its messages to a new one"};
        if (target.import_key &&
            group.state().batch().get(key::import_key(mailbox.account, *target.import_key)))
            return Error{ErrorKind::exists, "this message has been imported before"};
        if (target.quota_octets != 0 &&
            group.state().usage(mailbox.account).octets + octets() > target.quota_octets)
            return Error{ErrorKind::over_quota,
                         fmt::format("the message's {} octets do not fit into the quota of {} octets",
                                     octets(), target.quota_octets)};
        const auto printable = [](char c) { return c >= 0x21 && c <= 0x7E; };
        if (target.uidl.size() > uidl_octets_max ||
            !std::all_of(target.uidl.begin(), target.uidl.end(), printable))
            return Error{ErrorKind::invalid, "a UIDL has at most 70 octets from 0x21 to 0x7E (RFC 1939 §7)"};
        return std::nullopt;
    }

    bool dot_lines() const {
        char last = '\n';  // a message begins at the start of a line
        const bool in_prefix = find_dot_line(message_.prefix, last);
        return in_prefix || spool().has_dot_lines() || (spool().begins_with_dot() && last == '\n');
    }

    NewMessage message_;
    const std::uint16_t bits_;
    std::optional<std::uint64_t> checksum_;
    Place body_;
    std::uint64_t owner_mailbox_ = 0;
    Uid owner_uid_ = 0;
};

class ExpungeOperation : public Answering<std::uint64_t> {
  public:
    ExpungeOperation(MailboxId mailbox, std::vector<Uid> uids, Done<std::uint64_t> done)
        : Answering(std::move(done)), mailbox_(number(mailbox)), uids_(std::move(uids)) {}

    void build(Group& group) override {
        const MailboxState* mailbox = group.state().mailbox(mailbox_);
        if (mailbox == nullptr) return refuse(no_mailbox());
        std::sort(uids_.begin(), uids_.end());
        uids_.erase(std::unique(uids_.begin(), uids_.end()), uids_.end());
        Record record;
        record.type = RecordType::remove;
        record.mailbox = mailbox_;
        record.account = mailbox->account;
        record.modseq = mailbox->modseq + 1;
        record.date_us = group.now_us();
        std::uint64_t removed = 0;
        std::vector<std::vector<Removal>> parts(1);
        group.state().batch().entries(mailbox_, uids_, [&](Uid uid, const IndexEntry& entry) {
            ++removed;
            if (parts.back().size() >= removals_per_record_max) parts.emplace_back();
            for (const std::uint32_t segment : stating_segments(entry))
                parts.back().push_back({uid, segment});
        });
        for (auto& part : parts) {
            if (part.empty()) continue;
            record.removals = std::move(part);
            group.add(record);
        }
        succeed(removed);
    }

  private:
    const std::uint64_t mailbox_;
    std::vector<Uid> uids_;
};

class FlagsOperation : public Answering<void> {
  public:
    FlagsOperation(MailboxId mailbox, std::vector<FlagChange> changes, Done<void> done)
        : Answering(std::move(done)), mailbox_(number(mailbox)), changes_(std::move(changes)) {}

    void build(Group& group) override {
        const MailboxState* mailbox = group.state().mailbox(mailbox_);
        if (mailbox == nullptr) return refuse(no_mailbox());
        Record record;
        record.type = RecordType::flags;
        record.mailbox = mailbox_;
        record.account = mailbox->account;
        record.modseq = mailbox->modseq + 1;
        for (const FlagChange& change : changes_) {
            const auto entry = group.state().entry(mailbox_, change.uid);
            if (!entry || entry->flags == change.flags) continue;
            record.uid = change.uid;
            record.flags = change.flags;
            group.add(record);
        }
    }

  private:
    const std::uint64_t mailbox_;
    const std::vector<FlagChange> changes_;
};

class CopyOperation : public Answering<std::vector<Uid>> {
  public:
    CopyOperation(MailboxId from, std::vector<Uid> uids, MailboxId to, Store::Source source,
                  Done<std::vector<Uid>> done)
        : Answering(std::move(done)),
          from_(number(from)),
          to_(number(to)),
          uids_(std::move(uids)),
          source_(source) {}

    void build(Group& group) override {
        Applier& state = group.state();
        const MailboxState* from = state.mailbox(from_);
        const MailboxState* to = state.mailbox(to_);
        if (from == nullptr || to == nullptr) return refuse(no_mailbox());
        if (from->account != to->account)
            return refuse({ErrorKind::invalid, "a message cannot be copied to another account's mailbox"});
        std::vector<Uid> result;
        for (const Uid uid : uids_)
            result.push_back(copy(group, uid));
        succeed(std::move(result));
    }

  private:
    Uid copy(Group& group, Uid uid) {
        auto entry = group.state().entry(from_, uid);
        if (!entry) return 0;
        const MailboxState& to = *group.state().mailbox(to_);
        // A moved message stays the same message; a copy is another one, and is imported from nowhere.
        if (source_ == Store::Source::keep) {
            entry->guid = group.next_guid();
            entry->uidl.clear();
        }
        const auto stated_in = stating_segments(*entry);
        entry->also_in.clear();
        entry->import_key.reset();
        entry->modseq = to.modseq + 1;
        const Uid fresh = to.uid_next;
        Record record = copy_record(to_, fresh, to.account, *entry);
        if (source_ == Store::Source::remove) {
            record.from_mailbox = from_;
            record.from_uid = uid;
            record.from_modseq = group.state().mailbox(from_)->modseq + 1;
            record.from_stated_in = stated_in;
        }
        group.add(std::move(record));
        return fresh;
    }

    const std::uint64_t from_, to_;
    const std::vector<Uid> uids_;
    const Store::Source source_;
};

// ---- mailboxes ----

std::optional<Error> bad_mailbox_name(std::string_view name) {
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    if (name.empty() || name.size() > mailbox_name_octets_max ||
        std::any_of(name.begin(), name.end(), control))
        return Error{ErrorKind::invalid, "a mailbox name has 1 to 1,024 octets and no control characters"};
    return std::nullopt;
}

// RFC 9051 §5.1: INBOX is the same in any case.
std::string canonical_name(std::string name) {
    return boost::algorithm::iequals(name, "INBOX") ? "INBOX" : name;
}

class CreateMailboxOperation : public Answering<MailboxId> {
  public:
    CreateMailboxOperation(AccountId account, std::string name, Done<MailboxId> done)
        : Answering(std::move(done)),
          account_(static_cast<std::uint64_t>(account)),
          name_(canonical_name(std::move(name))) {}

    void build(Group& group) override {
        if (auto bad = bad_mailbox_name(name_)) return refuse(*bad);
        if (const auto there = group.state().batch().get_as<std::uint64_t>(key::name(account_, name_)))
            return succeed(MailboxId{*there});
        const std::uint64_t id = group.state().next_id();
        MailboxState state;
        state.account = account_;
        state.name = name_;
        state.date_us = group.now_us();
        // Greater than that of any mailbox of this name before it (RFC 9051 §2.3.1.1): ids only go up.
        state.uid_validity = static_cast<std::uint32_t>(id);
        group.add(mailbox_record(id, state));
        succeed(MailboxId{id});
    }

  private:
    const std::uint64_t account_;
    const std::string name_;
};

class RenameMailboxOperation : public Answering<void> {
  public:
    RenameMailboxOperation(MailboxId mailbox, std::string name, Done<void> done)
        : Answering(std::move(done)), mailbox_(number(mailbox)), name_(canonical_name(std::move(name))) {}

    void build(Group& group) override {
        const MailboxState* present = group.state().mailbox(mailbox_);
        if (present == nullptr) return refuse(no_mailbox());
        if (auto bad = bad_mailbox_name(name_)) return refuse(*bad);
        if (present->name == name_) return;
        if (group.state().batch().get(key::name(present->account, name_)))
            return refuse({ErrorKind::exists, fmt::format("there is a mailbox \"{}\" already", name_)});
        MailboxState renamed = *present;
        renamed.name = name_;
        group.add(mailbox_record(mailbox_, renamed));
    }

  private:
    const std::uint64_t mailbox_;
    const std::string name_;
};

class RemoveMailboxOperation : public Answering<void> {
  public:
    RemoveMailboxOperation(MailboxId mailbox, Done<void> done)
        : Answering(std::move(done)), mailbox_(number(mailbox)) {}

    void build(Group& group) override {
        const MailboxState* present = group.state().mailbox(mailbox_);
        if (present == nullptr) return refuse(no_mailbox());
        MailboxState gone = *present;
        gone.gone = true;
        gone.date_us = group.now_us();
        group.add(mailbox_record(mailbox_, gone));
    }

  private:
    const std::uint64_t mailbox_;
};

// ---- the directory ----

class PutOperation : public Answering<std::uint64_t> {
  public:
    PutOperation(DirectoryRecord record, Done<std::uint64_t> done)
        : Answering(std::move(done)), record_(std::move(record)) {}

    void build(Group& group) override {
        if (record_.key.empty() || record_.key.size() > directory_key_octets_max ||
            record_.value.size() > directory_value_octets_max)
            return refuse(
                {ErrorKind::invalid, "a directory key has 1 to 1,024 octets, a value at most 1 MiB"});
        const auto present =
            group.state().batch().get_as<DirectoryState>(key::directory(record_.kind, record_.key));
        if (record_.id == 0) record_.id = present && !present->gone ? present->id : group.state().next_id();
        Record record;
        record.type = RecordType::directory;
        record.directory = record_;
        group.add(std::move(record));
        succeed(record_.id);
    }

  private:
    DirectoryRecord record_;
};

class EraseOperation : public Answering<void> {
  public:
    EraseOperation(DirectoryKind kind, std::string key, Done<void> done) : Answering(std::move(done)) {
        record_.type = RecordType::directory;
        record_.bits = bit::gone;
        record_.directory.kind = kind;
        record_.directory.key = std::move(key);
    }

    void build(Group& group) override {
        const auto present = group.state().batch().get_as<DirectoryState>(
            key::directory(record_.directory.kind, record_.directory.key));
        if (!present || present->gone) return refuse({ErrorKind::not_found, "there is no such entry"});
        record_.directory.id = present->id;
        group.add(record_);
    }

  private:
    Record record_;
};

Record entry_record(RecordType type, std::uint64_t mailbox, Uid uid, std::uint64_t account,
                    const IndexEntry& entry) {
    Record record;
    record.type = type;
    record.bits = entry.bits;
    record.mailbox = mailbox;
    record.uid = uid;
    record.account = account;
    record.guid = entry.guid;
    record.date_us = entry.date_us;
    record.flags = entry.flags;
    record.modseq = entry.modseq;
    record.uidl = entry.uidl;
    record.also_in = entry.also_in;
    record.import_key = entry.import_key;
    return record;
}

}  // namespace

Record mailbox_record(std::uint64_t id, const MailboxState& state) {
    Record record;
    record.type = RecordType::mailbox;
    record.bits = state.gone ? bit::gone : 0;
    record.mailbox = id;
    record.uid = state.uid_next;
    record.account = state.account;
    record.date_us = state.date_us;
    record.modseq = state.modseq;
    record.uid_validity = state.uid_validity;
    record.name = state.name;
    record.keywords = state.keywords;
    return record;
}

std::vector<std::uint32_t> stating_segments(const IndexEntry& entry) {
    std::vector<std::uint32_t> segments = entry.also_in;
    segments.push_back(entry.stated_in);
    return segments;
}

Record message_record(std::uint64_t mailbox, Uid uid, std::uint64_t account, const IndexEntry& entry) {
    return entry_record(RecordType::message, mailbox, uid, account, entry);
}

Record copy_record(std::uint64_t mailbox, Uid uid, std::uint64_t account, const IndexEntry& entry) {
    Record record = entry_record(RecordType::copy, mailbox, uid, account, entry);
    record.body = entry.place;
    record.body_octets = entry.octets;
    record.owner_mailbox = entry.owner_mailbox;
    record.owner_uid = entry.owner_uid;
    return record;
}

std::unique_ptr<Operation> append_operation(NewMessage message, Done<std::vector<Result<Appended>>> done) {
    return std::make_unique<AppendOperation>(std::move(message), std::move(done));
}
std::unique_ptr<Operation> expunge_operation(MailboxId mailbox, std::vector<Uid> uids,
                                             Done<std::uint64_t> done) {
    return std::make_unique<ExpungeOperation>(mailbox, std::move(uids), std::move(done));
}
std::unique_ptr<Operation> flags_operation(MailboxId mailbox, std::vector<FlagChange> changes,
                                           Done<void> done) {
    return std::make_unique<FlagsOperation>(mailbox, std::move(changes), std::move(done));
}
std::unique_ptr<Operation> copy_operation(MailboxId from, std::vector<Uid> uids, MailboxId to,
                                          Store::Source source, Done<std::vector<Uid>> done) {
    return std::make_unique<CopyOperation>(from, std::move(uids), to, source, std::move(done));
}
std::unique_ptr<Operation> create_mailbox_operation(AccountId account, std::string name,
                                                    Done<MailboxId> done) {
    return std::make_unique<CreateMailboxOperation>(account, std::move(name), std::move(done));
}
std::unique_ptr<Operation> rename_mailbox_operation(MailboxId mailbox, std::string name, Done<void> done) {
    return std::make_unique<RenameMailboxOperation>(mailbox, std::move(name), std::move(done));
}
std::unique_ptr<Operation> remove_mailbox_operation(MailboxId mailbox, Done<void> done) {
    return std::make_unique<RemoveMailboxOperation>(mailbox, std::move(done));
}
std::unique_ptr<Operation> put_operation(DirectoryRecord record, Done<std::uint64_t> done) {
    return std::make_unique<PutOperation>(std::move(record), std::move(done));
}
std::unique_ptr<Operation> erase_operation(DirectoryKind kind, std::string key, Done<void> done) {
    return std::make_unique<EraseOperation>(kind, std::move(key), std::move(done));
}

}  // namespace pier::store::log
