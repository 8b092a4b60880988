// A store in memory that keeps messages, for tests of what delivers and imports: quotas, import keys and
// UIDLs as store.h promises, each `done` on a thread of its own, and appends that fail when told to.
// Expunging takes from the mailbox, not from the import keys; what these tests do not need (copying, flags)
// fails.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "store/store.h"

namespace pier::test {

struct StoredMessage {
    store::Uid uid = 0;
    std::string octets, uidl;  // uidl empty: the store's own
    store::Flags flags = 0;
    Time internal_date{};
    std::optional<store::ImportKey> import_key;
};

struct StoredMailbox {
    store::AccountId account{};
    std::string name;
    store::Uid uid_next = 1;
    std::vector<StoredMessage> messages;
};

class MessageStore final : public store::Store {
  public:
    // Like a disk: outlives the stores that are opened on it. Lock `mutex` while a store is open.
    struct Disk {
        std::mutex mutex;
        std::map<std::pair<store::DirectoryKind, std::string>, store::DirectoryRecord> records;
        std::map<std::uint64_t, StoredMailbox> mailboxes;
        std::set<std::pair<std::uint64_t, store::ImportKey>> import_keys;
        std::uint64_t next_id = 1;
        std::uint64_t message_octets_max = 1 << 20;
        std::uint64_t appends = 0;
        std::map<std::uint64_t, Error> append_errors;  // by number, from 1: that append fails as a whole
        std::optional<Error> append_error_of_all;
        std::optional<Error> spool_error;  // every write fails
    };

    explicit MessageStore(std::shared_ptr<Disk> disk = std::make_shared<Disk>());
    ~MessageStore() override;

    Disk& disk() { return *disk_; }
    // The messages of an account's mailbox; empty if there is none.
    std::vector<StoredMessage> messages(store::AccountId account, const std::string& mailbox);

    void put(store::DirectoryRecord record, store::Done<std::uint64_t> done) override;
    void erase(store::DirectoryKind kind, std::string key, store::Done<void> done) override;
    Result<std::optional<store::DirectoryRecord>> get(store::DirectoryKind kind,
                                                      std::string_view key) const override;
    Result<std::vector<store::DirectoryRecord>> list(store::DirectoryKind kind) const override;
    void create_mailbox(store::AccountId account, std::string name,
                        store::Done<store::MailboxId> done) override;
    void rename_mailbox(store::MailboxId mailbox, std::string name, store::Done<void> done) override;
    void remove_mailbox(store::MailboxId mailbox, store::Done<void> done) override;
    Result<std::vector<store::MailboxInfo>> mailboxes(store::AccountId account) const override;
    Result<store::Usage> usage(store::AccountId account) const override;
    Result<std::vector<bool>> imported(store::AccountId account,
                                       std::span<const store::ImportKey> keys) const override;
    std::unique_ptr<store::Spool> new_spool() override;
    void append(store::NewMessage message, store::Done<std::vector<Result<store::Appended>>> done) override;
    void expunge(store::MailboxId mailbox, std::vector<store::Uid> uids,
                 store::Done<std::uint64_t> done) override;
    void set_flags(store::MailboxId mailbox, std::vector<store::FlagChange> changes,
                   store::Done<void> done) override;
    void copy(store::MailboxId from, std::vector<store::Uid> uids, store::MailboxId to, Source source,
              store::Done<std::vector<store::Uid>> done) override;
    Result<std::shared_ptr<const store::Snapshot>> open(store::MailboxId mailbox, store::Wait wait) override;
    store::Stats stats() const override { return {}; }
    bool failed() const override { return false; }

  private:
    void later(std::function<void()> work);
    void work();
    std::optional<Error> refusal_of(const store::Target& target, std::uint64_t octets) const;
    Result<store::Appended> append_to(const store::Target& target, const std::string& octets, Time date);

    std::shared_ptr<Disk> disk_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> queue_;
    bool ending_ = false;
    std::thread worker_;
};

}  // namespace pier::test
