// What sessions do to the store, as operations of the appender. Each checks its conditions when its turn
// comes, against the state as the operations before it leave it, so that no two can race.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/log/appender.h"
#include "store/log/spool.h"
#include "store/store.h"

namespace pier::store::log {

std::unique_ptr<Operation> append_operation(NewMessage message, Done<std::vector<Result<Appended>>> done);
std::unique_ptr<Operation> expunge_operation(MailboxId mailbox, std::vector<Uid> uids,
                                             Done<std::uint64_t> done);
std::unique_ptr<Operation> flags_operation(MailboxId mailbox, std::vector<FlagChange> changes,
                                           Done<void> done);
std::unique_ptr<Operation> copy_operation(MailboxId from, std::vector<Uid> uids, MailboxId to,
                                          Store::Source source, Done<std::vector<Uid>> done);
std::unique_ptr<Operation> create_mailbox_operation(AccountId account, std::string name,
                                                    Done<MailboxId> done);
std::unique_ptr<Operation> rename_mailbox_operation(MailboxId mailbox, std::string name, Done<void> done);
std::unique_ptr<Operation> remove_mailbox_operation(MailboxId mailbox, Done<void> done);
std::unique_ptr<Operation> put_operation(DirectoryRecord record, Done<std::uint64_t> done);
std::unique_ptr<Operation> erase_operation(DirectoryKind kind, std::string key, Done<void> done);

// The segments whose records state the entry: as long as one of them is there, a rebuild finds it.
std::vector<std::uint32_t> stating_segments(const IndexEntry& entry);

// What the cleaner states again too.
Record mailbox_record(std::uint64_t id, const MailboxState& state);
Record message_record(std::uint64_t mailbox, Uid uid, std::uint64_t account, const IndexEntry& entry);
Record copy_record(std::uint64_t mailbox, Uid uid, std::uint64_t account, const IndexEntry& entry);

}  // namespace pier::store::log
