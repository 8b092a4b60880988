// Store's functions for a test thread: each waits for its answer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"
#include "store/wait.h"

namespace pier::test {

Result<std::uint64_t> put(store::Store& store, store::DirectoryRecord record);
Result<void> erase(store::Store& store, store::DirectoryKind kind, std::string key);
Result<store::MailboxId> create_mailbox(store::Store& store, store::AccountId account, std::string name);
Result<void> rename_mailbox(store::Store& store, store::MailboxId mailbox, std::string name);
Result<void> remove_mailbox(store::Store& store, store::MailboxId mailbox);
Result<std::uint64_t> expunge(store::Store& store, store::MailboxId mailbox, std::vector<store::Uid> uids);
Result<void> set_flags(store::Store& store, store::MailboxId mailbox, std::vector<store::FlagChange> changes);
Result<std::vector<store::Uid>> copy(store::Store& store, store::MailboxId from, std::vector<store::Uid> uids,
                                     store::MailboxId to, store::Store::Source source);

struct Letter {
    std::string body;
    std::string prefix{};
    Time date{};
};
// Spools the body in pieces of `piece_octets`.
Result<store::NewMessage> spooled(store::Store& store, const Letter& letter,
                                  std::vector<store::Target> targets, std::size_t piece_octets = 8192);
Result<std::vector<Result<store::Appended>>> append(store::Store& store, const Letter& letter,
                                                    std::vector<store::Target> targets);
// One target; its failure is the whole's.
Result<store::Appended> append(store::Store& store, const Letter& letter, store::Target target);

store::Target to(store::MailboxId mailbox);

// Verifies the message, then reads all of it.
Result<std::string> read_body(const store::Snapshot& snapshot, std::size_t index);
// The same by load().
Result<std::string> load_body(const store::Snapshot& snapshot, std::size_t index);
// All messages of the mailbox, in order; an unreadable one as "(why)".
std::vector<std::string> bodies(store::Store& store, store::MailboxId mailbox);
std::vector<std::string> bodies(const store::Snapshot& snapshot);

// The mailbox's row of mailboxes(account); a default one if it is not there.
store::MailboxInfo info_of(store::Store& store, store::AccountId account, store::MailboxId mailbox);

}  // namespace pier::test
