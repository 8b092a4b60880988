#include "support/message_store.h"

#include <algorithm>

namespace pier::test {
namespace {

using namespace store;

Error not_done() {
    return {ErrorKind::invalid, "not done by the store of the tests"};
}

class MemorySpool final : public Spool {
  public:
    MemorySpool(std::uint64_t octets_max, std::optional<Error> error)
        : octets_max_(octets_max), error_(std::move(error)) {}
    Result<void> write(std::string_view octets) override {
        if (error_) return *error_;
        if (text.size() + octets.size() > octets_max_)
            return Error(ErrorKind::invalid, "the message is too large");
        text += octets;
        return {};
    }
    std::uint64_t octets() const override { return text.size(); }
    Result<std::size_t> read(std::uint64_t offset, std::span<char> out) const override {
        return offset >= text.size() ? 0 : text.copy(out.data(), out.size(), offset);
    }

    std::string text;

  private:
    std::uint64_t octets_max_;
    std::optional<Error> error_;
};

class MemorySnapshot final : public Snapshot {
  public:
    MemorySnapshot(MailboxId id, std::vector<StoredMessage> messages)
        : id_(id), messages_(std::move(messages)) {
        for (const StoredMessage& message : messages_) {
            Entry entry;
            entry.uid = message.uid;
            entry.octets = message.octets.size();
            octets_ += entry.octets;
            entries_.push_back(entry);
        }
    }
    MailboxId mailbox() const override { return id_; }
    std::span<const Entry> entries() const override { return entries_; }
    std::uint64_t octets() const override { return octets_; }
    std::uint64_t modseq() const override { return 1; }
    void append_uidl(std::size_t index, std::string& out) const override {
        const StoredMessage& message = messages_.at(index);
        out += message.uidl.empty() ? "guid-" + std::to_string(message.uid) : message.uidl;
    }
    Result<Details> details(std::size_t index) const override {
        const StoredMessage& message = messages_.at(index);
        return Details{message.flags, 1, message.internal_date, message.import_key};
    }
    Result<std::unique_ptr<Body>> body(std::size_t) const override { return not_done(); }

  private:
    MailboxId id_;
    std::vector<StoredMessage> messages_;
    std::vector<Entry> entries_;
    std::uint64_t octets_ = 0;
};

}  // namespace

MessageStore::MessageStore(std::shared_ptr<Disk> disk)
    : disk_(std::move(disk)), worker_([this] { work(); }) {}

MessageStore::~MessageStore() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    worker_.join();
}

void MessageStore::later(std::function<void()> todo) {
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back(std::move(todo));
    }
    changed_.notify_all();
}

void MessageStore::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [&] { return ending_ || !queue_.empty(); });
        if (queue_.empty()) return;
        const auto todo = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        todo();
        lock.lock();
    }
}

std::vector<StoredMessage> MessageStore::messages(AccountId account, const std::string& name) {
    const std::lock_guard lock(disk_->mutex);
    for (const auto& [id, mailbox] : disk_->mailboxes) {
        if (mailbox.account == account && mailbox.name == name) return mailbox.messages;
    }
    return {};
}

void MessageStore::put(DirectoryRecord record, Done<std::uint64_t> done) {
    later([this, record = std::move(record), done = std::move(done)]() mutable {
        std::unique_lock lock(disk_->mutex);
        DirectoryRecord& present = disk_->records[{record.kind, record.key}];
        if (record.id == 0) record.id = present.id != 0 ? present.id : disk_->next_id++;
        present = record;
        lock.unlock();
        done(record.id);
    });
}

void MessageStore::erase(DirectoryKind kind, std::string key, Done<void> done) {
    later([this, kind, key = std::move(key), done = std::move(done)] {
        std::unique_lock lock(disk_->mutex);
        const bool erased = disk_->records.erase({kind, key}) == 1;
        lock.unlock();
        done(erased ? Result<void>() : Result<void>(Error(ErrorKind::not_found, "no such record")));
    });
}

Result<std::optional<DirectoryRecord>> MessageStore::get(DirectoryKind kind, std::string_view key) const {
    const std::lock_guard lock(disk_->mutex);
    const auto at = disk_->records.find({kind, std::string(key)});
    if (at == disk_->records.end()) return std::optional<DirectoryRecord>();
    return std::optional(at->second);
}

Result<std::vector<DirectoryRecord>> MessageStore::list(DirectoryKind kind) const {
    const std::lock_guard lock(disk_->mutex);
    std::vector<DirectoryRecord> out;
    for (const auto& [key, record] : disk_->records) {
        if (key.first == kind) out.push_back(record);
    }
    return out;
}

void MessageStore::create_mailbox(AccountId account, std::string name, Done<MailboxId> done) {
    later([this, account, name = std::move(name), done = std::move(done)] {
        std::unique_lock lock(disk_->mutex);
        std::uint64_t id = 0;
        for (const auto& [known, mailbox] : disk_->mailboxes) {
            if (mailbox.account == account && mailbox.name == name) id = known;
        }
        if (id == 0) {
            id = disk_->next_id++;
            disk_->mailboxes[id] = {account, name, 1, {}};
        }
        lock.unlock();
        done(MailboxId(id));
    });
}

void MessageStore::rename_mailbox(MailboxId, std::string, Done<void> done) {
    later([done = std::move(done)] { done(not_done()); });
}

void MessageStore::remove_mailbox(MailboxId mailbox, Done<void> done) {
    later([this, mailbox, done = std::move(done)] {
        {
            const std::lock_guard lock(disk_->mutex);
            disk_->mailboxes.erase(static_cast<std::uint64_t>(mailbox));
        }
        done({});
    });
}

Result<std::vector<MailboxInfo>> MessageStore::mailboxes(AccountId account) const {
    const std::lock_guard lock(disk_->mutex);
    std::vector<MailboxInfo> out;
    for (const auto& [id, mailbox] : disk_->mailboxes) {
        if (mailbox.account != account) continue;
        MailboxInfo info;
        info.id = MailboxId(id);
        info.account = account;
        info.name = mailbox.name;
        info.messages = mailbox.messages.size();
        out.push_back(std::move(info));
    }
    return out;
}

Result<Usage> MessageStore::usage(AccountId account) const {
    const std::lock_guard lock(disk_->mutex);
    Usage usage;
    for (const auto& [id, mailbox] : disk_->mailboxes) {
        if (mailbox.account != account) continue;
        for (const StoredMessage& message : mailbox.messages) {
            ++usage.messages;
            usage.octets += message.octets.size();
        }
    }
    return usage;
}

Result<std::vector<bool>> MessageStore::imported(AccountId account, std::span<const ImportKey> keys) const {
    const std::lock_guard lock(disk_->mutex);
    std::vector<bool> known;
    for (const ImportKey& key : keys)
        known.push_back(disk_->import_keys.contains({static_cast<std::uint64_t>(account), key}));
    return known;
}

std::unique_ptr<Spool> MessageStore::new_spool() {
    const std::lock_guard lock(disk_->mutex);
    return std::make_unique<MemorySpool>(disk_->message_octets_max, disk_->spool_error);
}

void MessageStore::append(NewMessage message, Done<std::vector<Result<Appended>>> done) {
    const auto shared = std::make_shared<NewMessage>(std::move(message));
    later([this, shared, done = std::move(done)] {
        std::unique_lock lock(disk_->mutex);
        std::optional<Error> error = disk_->append_error_of_all;
        const auto planned = disk_->append_errors.find(++disk_->appends);
        if (planned != disk_->append_errors.end()) error = planned->second;
        lock.unlock();
        if (error) return done(*error);
        const std::string octets = shared->prefix + static_cast<MemorySpool&>(*shared->spool).text;
        std::vector<Result<Appended>> results;
        for (const Target& target : shared->targets) {
            const auto refusal = shared->all_or_none ? refusal_of(target, octets.size()) : std::nullopt;
            if (refusal) return done(std::vector<Result<Appended>>(shared->targets.size(), *refusal));
        }
        for (const Target& target : shared->targets)
            results.push_back(append_to(target, octets, shared->internal_date));
        done(std::move(results));
    });
}

Result<Appended> MessageStore::append_to(const Target& target, const std::string& octets, Time date) {
    if (const auto refusal = refusal_of(target, octets.size())) return *refusal;
    const std::lock_guard lock(disk_->mutex);
    const auto mailbox = disk_->mailboxes.find(static_cast<std::uint64_t>(target.mailbox));
    const auto account = static_cast<std::uint64_t>(mailbox->second.account);
    if (target.import_key) disk_->import_keys.insert({account, *target.import_key});
    Appended appended;
    appended.uid = mailbox->second.uid_next++;
    mailbox->second.messages.push_back(
        {appended.uid, octets, target.uidl, target.flags, date, target.import_key});
    return appended;
}

std::optional<Error> MessageStore::refusal_of(const Target& target, std::uint64_t octets) const {
    const std::lock_guard lock(disk_->mutex);
    const auto mailbox = disk_->mailboxes.find(static_cast<std::uint64_t>(target.mailbox));
    if (mailbox == disk_->mailboxes.end()) return Error(ErrorKind::not_found, "no such mailbox");
    const auto account = static_cast<std::uint64_t>(mailbox->second.account);
    if (target.import_key && disk_->import_keys.contains({account, *target.import_key}))
        return Error(ErrorKind::exists, "imported before");
    std::uint64_t used = octets;
    for (const auto& [id, other] : disk_->mailboxes) {
        if (other.account != mailbox->second.account) continue;
        for (const StoredMessage& message : other.messages)
            used += message.octets.size();
    }
    if (target.quota_octets != 0 && used > target.quota_octets)
        return Error(ErrorKind::over_quota, "over quota");
    return std::nullopt;
}

void MessageStore::expunge(MailboxId mailbox, std::vector<Uid> uids, Done<std::uint64_t> done) {
    later([this, mailbox, uids = std::move(uids), done = std::move(done)] {
        std::unique_lock lock(disk_->mutex);
        const auto removed = std::erase_if(
            disk_->mailboxes[static_cast<std::uint64_t>(mailbox)].messages,
            [&](const StoredMessage& m) { return std::ranges::find(uids, m.uid) != uids.end(); });
        lock.unlock();
        done(removed);
    });
}

void MessageStore::set_flags(MailboxId, std::vector<FlagChange>, Done<void> done) {
    later([done = std::move(done)] { done(not_done()); });
}

void MessageStore::copy(MailboxId, std::vector<Uid>, MailboxId, Source, Done<std::vector<Uid>> done) {
    later([done = std::move(done)] { done(not_done()); });
}

Result<std::shared_ptr<const Snapshot>> MessageStore::open(MailboxId mailbox, Wait) {
    const std::lock_guard lock(disk_->mutex);
    const auto at = disk_->mailboxes.find(static_cast<std::uint64_t>(mailbox));
    if (at == disk_->mailboxes.end()) return Error(ErrorKind::not_found, "no such mailbox");
    return std::shared_ptr<const Snapshot>(std::make_shared<MemorySnapshot>(mailbox, at->second.messages));
}

}  // namespace pier::test
