// What a record means: the one place where a record changes the index. A living store, a replay after a crash
// and a rebuild all come through here, so that they cannot differ. Used by one thread.
#pragma once

#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "store/log/index.h"
#include "store/log/record.h"

namespace pier::store::log {

class Applier {
  public:
    explicit Applier(Index& index) : batch_(index) {}

    // `total_octets`: of the record with header, meta and filling.
    void apply(const Record& record, Place place, std::uint64_t total_octets);

    // Writes what was applied since the last commit or clear, with the log position that it reaches. If that
    // fails it is forgotten.
    Result<void> commit(Position reached);
    void clear();  // forgets it
    // What the index could not tell since then: what was applied is not to be relied on.
    std::optional<Error> failure() const { return batch_.failure(); }

    // The state with what was applied so far. mailbox(): null if it never was, or is gone.
    const MailboxState* mailbox(std::uint64_t id);
    bool mailbox_known(std::uint64_t id) { return find_mailbox(id) != nullptr; }  // also one that is gone
    const MailboxState* mailbox_even_gone(std::uint64_t id) { return find_mailbox(id); }
    std::optional<IndexEntry> entry(std::uint64_t mailbox, Uid uid) const;
    // Of all its mailboxes that are not kept aside.
    const Usage& usage(std::uint64_t account);
    std::uint64_t next_id() { return find_next_id(); }
    Guid last_guid() { return find_last_guid(); }
    const Batch& batch() const { return batch_; }
    // A segment that is no more.
    void forget_segment(std::uint32_t number);
    // The same for all but these (ascending).
    void forget_segments_except(const std::vector<std::uint32_t>& numbers);

  private:
    void apply_message(const Record& record, Place place);
    void apply_copy(const Record& record, Place place);
    void apply_flags(const Record& record);
    void apply_mailbox(const Record& record, Place place);
    void apply_directory(const Record& record, Place place);

    // Puts the entry into its mailbox, in place of the one that is there if it is stated again.
    void put_entry(const Record& record, IndexEntry entry);
    void put(std::uint64_t mailbox, Uid uid, const IndexEntry& entry);
    void remove_entries(const Record& record);
    void remove_entry(std::uint64_t mailbox, Uid uid, const IndexEntry& gone, std::int64_t when_us);
    // The entry does not need its octets any more; whether anybody else does is for the references to say.
    void release_body(std::uint64_t mailbox, Uid uid, const IndexEntry& entry, std::int64_t when_us);
    bool referenced(Place place) const;
    void unshare(Place place);

    // A state that is read once and written once per commit, however many records change it; kept for the
    // next commits too.
    struct KnownMailbox {
        std::optional<MailboxState> state;
        bool changed = false;
    };
    KnownMailbox& know_mailbox(std::uint64_t id);
    const MailboxState* find_mailbox(std::uint64_t id);
    MailboxState* find_mailbox_to_change(std::uint64_t id);
    MailboxState& mailbox_of(const Record& record);
    void note_change(std::uint64_t id, KnownMailbox& known);
    void count(MailboxState& state, int messages, std::uint64_t octets);
    SegmentState& find_segment(std::uint32_t number);
    std::uint64_t& find_next_id();
    Guid& find_last_guid();
    void note_id(std::uint64_t id);
    void forget_states();

    Batch batch_;
    std::unordered_map<std::uint64_t, KnownMailbox> mailboxes_;
    std::vector<std::uint64_t> changed_mailboxes_;
    std::unordered_map<std::uint64_t, Usage> usages_;  // by account, of those that were asked for
    std::map<std::uint32_t, SegmentState> segments_;
    std::optional<std::uint64_t> next_id_;
    std::optional<Guid> last_guid_;
};

}  // namespace pier::store::log
