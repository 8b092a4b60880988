// A store in memory for tests of what stands on it: the directory records and mailboxes of store.h; it holds
// no messages. Like a real one it calls each `done` on a thread of its own, and it can fail any change. For a
// fuzzer, which has no time to wait for threads, it calls `done` at once.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "store/store.h"

namespace pier::test {

class MemoryStore final : public store::Store {
  public:
    using Key = std::pair<store::DirectoryKind, std::string>;

    // Like the disk: outlives the store that stands on it.
    struct Disk {
        std::mutex mutex;
        std::map<Key, store::DirectoryRecord> records;
        std::map<std::uint64_t, store::MailboxInfo> mailboxes;
        std::uint64_t next_id = 1;
        int changes = 0;
        int fail_change = 0;  // the n-th from here on fails, and all after it if `stays_failed`; 0: none
        bool stays_failed = false;
    };

    enum class Answers { on_a_thread, at_once };

    explicit MemoryStore(std::shared_ptr<Disk> disk = std::make_shared<Disk>(),
                         Answers answers = Answers::on_a_thread)
        : disk_(std::move(disk)), answers_(answers) {
        if (answers == Answers::on_a_thread)
            worker_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
    }

    Disk& disk() { return *disk_; }

    void put(store::DirectoryRecord record, store::Done<std::uint64_t> done) override {
        later([this, record = std::move(record), done = std::move(done)]() mutable {
            if (auto failed = change(); !failed) return done(failed.error());
            std::unique_lock lock(disk_->mutex);
            auto& present = disk_->records[{record.kind, record.key}];
            if (record.id == 0) record.id = present.id != 0 ? present.id : disk_->next_id++;
            present = record;
            lock.unlock();
            done(record.id);
        });
    }

    void erase(store::DirectoryKind kind, std::string key, store::Done<void> done) override {
        later([this, kind, key = std::move(key), done = std::move(done)] {
            if (auto failed = change(); !failed) return done(failed.error());
            std::unique_lock lock(disk_->mutex);
            const bool erased = disk_->records.erase({kind, key}) == 1;
            lock.unlock();
            done(erased ? Result<void>() : Result<void>(Error{ErrorKind::not_found, "no such record"}));
        });
    }

    Result<std::optional<store::DirectoryRecord>> get(store::DirectoryKind kind,
                                                      std::string_view key) const override {
        std::lock_guard lock(disk_->mutex);
        const auto at = disk_->records.find({kind, std::string(key)});
        if (at == disk_->records.end()) return std::optional<store::DirectoryRecord>();
        return std::optional(at->second);
    }

    Result<std::vector<store::DirectoryRecord>> list(store::DirectoryKind kind) const override {
        std::lock_guard lock(disk_->mutex);
        std::vector<store::DirectoryRecord> out;
        for (const auto& [key, record] : disk_->records)
            if (key.first == kind) out.push_back(record);
        return out;
    }

    void create_mailbox(store::AccountId account, std::string name,
                        store::Done<store::MailboxId> done) override {
        later([this, account, name = std::move(name), done = std::move(done)] {
            if (auto failed = change(); !failed) return done(failed.error());
            std::unique_lock lock(disk_->mutex);
            for (const auto& [id, mailbox] : disk_->mailboxes)
                if (mailbox.account == account && mailbox.name == name) {
                    const auto found = mailbox.id;
                    lock.unlock();
                    return done(found);
                }
            store::MailboxInfo info;
            info.id = store::MailboxId{disk_->next_id++};
            info.account = account;
            info.name = name;
            disk_->mailboxes[static_cast<std::uint64_t>(info.id)] = info;
            lock.unlock();
            done(info.id);
        });
    }

    void remove_mailbox(store::MailboxId mailbox, store::Done<void> done) override {
        later([this, mailbox, done = std::move(done)] {
            if (auto failed = change(); !failed) return done(failed.error());
            std::unique_lock lock(disk_->mutex);
            disk_->mailboxes.erase(static_cast<std::uint64_t>(mailbox));
            lock.unlock();
            done({});
        });
    }

    Result<std::vector<store::MailboxInfo>> mailboxes(store::AccountId account) const override {
        std::lock_guard lock(disk_->mutex);
        std::vector<store::MailboxInfo> out;
        for (const auto& [id, mailbox] : disk_->mailboxes)
            if (mailbox.account == account) out.push_back(mailbox);
        return out;
    }

    Result<store::Usage> usage(store::AccountId) const override {
        return store::Usage{.messages = 3, .octets = 333};
    }

    // Nothing above the directory is asked for here.
    Result<std::vector<bool>> imported(store::AccountId, std::span<const store::ImportKey>) const override {
        std::abort();
    }
    void rename_mailbox(store::MailboxId, std::string, store::Done<void>) override { std::abort(); }
    std::unique_ptr<store::Spool> new_spool() override { std::abort(); }
    void append(store::NewMessage, store::Done<std::vector<Result<store::Appended>>>) override {
        std::abort();
    }
    void expunge(store::MailboxId, std::vector<store::Uid>, store::Done<std::uint64_t>) override {
        std::abort();
    }
    void set_flags(store::MailboxId, std::vector<store::FlagChange>, store::Done<void>) override {
        std::abort();
    }
    void copy(store::MailboxId, std::vector<store::Uid>, store::MailboxId, Source,
              store::Done<std::vector<store::Uid>>) override {
        std::abort();
    }
    Result<std::shared_ptr<const store::Snapshot>> open(store::MailboxId, store::Wait) override {
        std::abort();
    }
    store::Stats stats() const override { return {}; }
    bool failed() const override { return false; }

  private:
    Result<void> change() {
        std::lock_guard lock(disk_->mutex);
        const int number = ++disk_->changes;
        if (disk_->fail_change == 0 || number < disk_->fail_change) return {};
        if (number > disk_->fail_change && !disk_->stays_failed) return {};
        return Error{ErrorKind::io, "the disk failed"};
    }

    void later(std::function<void()> task) {
        if (answers_ == Answers::at_once) return task();
        {
            std::lock_guard lock(mutex_);
            tasks_.push_back(std::move(task));
        }
        wake_.notify_one();
    }

    void work(const std::stop_token& stop) {
        for (;;) {
            std::unique_lock lock(mutex_);
            if (!wake_.wait(lock, stop, [&] { return !tasks_.empty(); })) return;
            const auto task = std::move(tasks_.front());
            tasks_.pop_front();
            lock.unlock();
            task();
        }
    }

    std::shared_ptr<Disk> disk_;
    const Answers answers_;
    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::deque<std::function<void()>> tasks_;
    std::jthread worker_;  // last: it uses all of the above
};

}  // namespace pier::test
