// Random histories of a store, and what the store must hold after each: the model that it is compared with.
//
//   History history(seed);
//   while (history.step(store)) …      // one random change; the model follows when it is acknowledged
//   … crash, open again …
//   history.settle(store);             // everything acknowledged is there, nothing else, octet for octet
//
// A change that failed without a clear "no" may have happened or not, part by part (each message by itself,
// but a move is one part). settle() looks which, takes that over, and from then on it must stay. A copy of a
// History goes on by itself: the same steps from the same point. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/store.h"

namespace pier::test {

struct ExpectedMessage {
    std::string body;
    std::string uidl;  // empty: not seen yet
    store::Flags flags = 0;
    std::int64_t date_us = 0;
};

struct ExpectedMailbox {
    store::AccountId account{};
    std::string name;
    std::uint32_t uid_validity = 0;  // 0: not seen yet
    store::Uid uid_seen = 0;         // the highest ever given: later ones must be higher
    std::uint64_t modseq_seen = 0;   // never goes back
    std::map<store::Uid, ExpectedMessage> messages;
};

class History {
  public:
    explicit History(std::uint64_t seed) : random_(seed) {}

    // Does one random thing. False if the store refused it because of its disk; a wrong answer is a test
    // failure.
    bool step(store::Store& store);
    // Compares everything, after finding out what became of changes without an answer.
    void settle(store::Store& store);

    const std::string& last_step() const { return last_step_; }
    std::uint64_t messages() const;
    const std::map<store::MailboxId, ExpectedMailbox>& mailboxes() const { return mailboxes_; }
    // Bodies are at most this long (and seldom).
    std::size_t body_octets_max = 40'000;

  private:
    // One part of a change that may or may not have happened.
    struct Part {
        enum class Kind { add, remove, flags, move, copy, create, rename, remove_mailbox, put, erase } kind{};
        store::MailboxId mailbox{}, target{};
        store::Uid uid = 0;
        ExpectedMessage message{};
        std::optional<store::ImportKey> import_key{};
        store::AccountId account{};
        std::string name{};
        store::DirectoryRecord record{};
    };

    // What happened is put into the model. `uid` is the new one where there is one.
    void apply(const Part& part, store::Uid uid = 0);
    // The store's answer to a change of these parts. False if it failed because of the disk; then they are
    // uncertain if they may have reached it.
    bool failed(const Error& error, bool failed_before, std::vector<Part> parts);
    bool happened(store::Store& store, const Part& part, store::Uid& uid);
    void compare_mailbox(store::Store& store, store::MailboxId id, ExpectedMailbox& expected);

    bool add_account(store::Store& store);
    bool append(store::Store& store);
    bool expunge(store::Store& store);
    bool set_flags(store::Store& store);
    bool copy(store::Store& store);
    bool create_mailbox(store::Store& store);
    bool rename_mailbox(store::Store& store);
    bool remove_mailbox(store::Store& store);
    bool put(store::Store& store);
    bool erase(store::Store& store);

    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    std::string new_body();
    store::MailboxId some_mailbox();
    std::vector<store::Uid> some_uids(store::MailboxId mailbox);
    std::uint64_t usage_octets(store::AccountId account) const;

    std::mt19937_64 random_;
    std::uint64_t counter_ = 0;  // makes bodies and names unique
    std::string last_step_;
    std::vector<store::AccountId> accounts_;
    std::map<store::MailboxId, ExpectedMailbox> mailboxes_;
    std::set<store::MailboxId> removed_mailboxes_;
    std::map<std::pair<store::DirectoryKind, std::string>, store::DirectoryRecord> directory_;
    std::set<std::pair<store::AccountId, store::ImportKey>> imported_;
    std::vector<Part> uncertain_;
};

}  // namespace pier::test
