#include "store/log/apply.h"

#include <algorithm>

#include "store/log/octets.h"

namespace pier::store::log {
namespace {

constexpr std::size_t known_mailboxes_max = 8192;

// What a message weighs when it is decided whether a segment is worth keeping.
std::uint64_t weight(std::uint64_t octets) {
    return octets + record_header_octets;
}

// What the record of a copy weighs, without the body, which stands elsewhere: its header, and about its meta.
constexpr std::uint64_t copy_weight = record_header_octets + 56;

// Its body was written for another entry.
bool is_copy(std::uint64_t mailbox, Uid uid, const IndexEntry& entry) {
    return entry.owner_mailbox != mailbox || entry.owner_uid != uid;
}

std::string number_value(std::uint64_t number) {
    std::string out;
    put_number(out, number);
    return out;
}

std::string number_value(std::uint32_t number) {
    std::string out;
    put_number(out, number);
    return out;
}

}  // namespace

void Applier::apply(const Record& record, Place place, std::uint64_t total_octets) {
    SegmentState& segment = find_segment(place.segment);
    segment.octets += total_octets;
    // Else a segment of such records alone would seem dead, and be cleaned again and again.
    const bool has_body = record.type == RecordType::message || record.type == RecordType::copy;
    if (!has_body && (record.bits & bit::restated) != 0) segment.live_octets += total_octets;
    if (record.import_key)
        batch_.put(key::import_key(record.account, *record.import_key), number_value(place.segment));
    switch (record.type) {
        case RecordType::message:
            return apply_message(record, place);
        case RecordType::copy:
            return apply_copy(record, place);
        case RecordType::flags:
            return apply_flags(record);
        case RecordType::remove: {
            MailboxState& state = mailbox_of(record);
            state.modseq = std::max(state.modseq, record.modseq);
            return remove_entries(record);
        }
        case RecordType::mailbox:
            return apply_mailbox(record, place);
        case RecordType::directory:
            return apply_directory(record, place);
        case RecordType::imported:
        case RecordType::table:
            return;
    }
}

void Applier::apply_message(const Record& record, Place place) {
    IndexEntry entry;
    entry.place = place;
    entry.octets = record.payload_octets;
    entry.owner_mailbox = record.mailbox;
    entry.owner_uid = record.uid;
    entry.stated_in = place.segment;
    if (mailbox_of(record).gone) return;
    put_entry(record, std::move(entry));
    find_segment(place.segment).live_octets += weight(record.payload_octets);
}

void Applier::apply_copy(const Record& record, Place place) {
    if (!mailbox_of(record).gone) {
        IndexEntry fresh;
        fresh.place = record.body;
        fresh.octets = record.body_octets;
        fresh.owner_mailbox = record.owner_mailbox;
        fresh.owner_uid = record.owner_uid;
        fresh.stated_in = place.segment;
        fresh.shared = true;
        // Else a segment of small messages to many recipients would seem dead, and be cleaned without end.
        if (is_copy(record.mailbox, record.uid, fresh))
            find_segment(place.segment).live_octets += copy_weight;
        put_entry(record, std::move(fresh));
        auto owner = entry(record.owner_mailbox, record.owner_uid);
        const bool owner_is_other = record.owner_mailbox != record.mailbox || record.owner_uid != record.uid;
        const bool owner_has_it = owner && owner_is_other && owner->place == record.body;
        if (!owner_has_it && !referenced(record.body))
            find_segment(record.body.segment).live_octets += weight(record.body_octets);
        if (owner_has_it && !owner->shared) {
            owner->shared = true;
            put(record.owner_mailbox, record.owner_uid, *owner);
            batch_.put(key::reference(record.body, record.owner_mailbox, record.owner_uid), "");
        }
        batch_.put(key::reference(record.body, record.mailbox, record.uid), "");
    }
    if (record.from_uid == 0) return;
    if (MailboxState* from = find_mailbox_to_change(record.from_mailbox))
        from->modseq = std::max(from->modseq, record.from_modseq);
    if (const auto taken = entry(record.from_mailbox, record.from_uid))
        remove_entry(record.from_mailbox, record.from_uid, *taken, record.date_us);
}

void Applier::apply_flags(const Record& record) {
    MailboxState& state = mailbox_of(record);
    state.modseq = std::max(state.modseq, record.modseq);
    auto changed = entry(record.mailbox, record.uid);
    if (!changed) return;
    changed->flags = record.flags;
    changed->modseq = record.modseq;
    put(record.mailbox, record.uid, *changed);
}

void Applier::put_entry(const Record& record, IndexEntry entry) {
    MailboxState& state = mailbox_of(record);
    entry.bits = record.bits;
    entry.guid = record.guid;
    entry.date_us = record.date_us;
    entry.flags = record.flags;
    entry.modseq = record.modseq;
    entry.uidl = record.uidl;
    entry.also_in = record.also_in;
    entry.import_key = record.import_key;
    // The usual message has a UID that was never given, so nobody has to look for it.
    const bool may_be_there = record.uid < state.uid_next;
    if (const auto present = may_be_there ? this->entry(record.mailbox, record.uid) : std::nullopt) {
        release_body(record.mailbox, record.uid, *present, 0);
    } else {
        count(state, 1, entry.octets);
    }
    state.uid_next = std::max(state.uid_next, record.uid + 1);
    state.modseq = std::max(state.modseq, record.modseq);
    find_last_guid() = std::max(find_last_guid(), record.guid);
    put(record.mailbox, record.uid, entry);
}

void Applier::remove_entries(const Record& record) {
    std::vector<Uid> uids;
    for (const Removal& removal : record.removals)
        uids.push_back(removal.uid);
    std::sort(uids.begin(), uids.end());
    // One that several segments state is listed for each of them.
    uids.erase(std::unique(uids.begin(), uids.end()), uids.end());
    std::vector<std::pair<Uid, IndexEntry>> there;
    batch_.entries(record.mailbox, uids,
                   [&](Uid uid, IndexEntry entry) { there.emplace_back(uid, std::move(entry)); });
    for (const auto& [uid, entry] : there)
        remove_entry(record.mailbox, uid, entry, record.date_us);
}

void Applier::remove_entry(std::uint64_t mailbox, Uid uid, const IndexEntry& gone, std::int64_t when_us) {
    MailboxState* state = find_mailbox_to_change(mailbox);
    if (state == nullptr) return;
    count(*state, -1, gone.octets);
    release_body(mailbox, uid, gone, when_us);
    batch_.erase(key::entry(mailbox, uid));
}

void Applier::release_body(std::uint64_t mailbox, Uid uid, const IndexEntry& entry, std::int64_t when_us) {
    if (is_copy(mailbox, uid, entry)) {
        SegmentState& stating = find_segment(entry.stated_in);
        stating.live_octets -= std::min(stating.live_octets, copy_weight);
    }
    if (entry.shared) {
        batch_.erase(key::reference(entry.place, mailbox, uid));
        if (referenced(entry.place)) return unshare(entry.place);
    }
    SegmentState& segment = find_segment(entry.place.segment);
    segment.live_octets -= std::min(segment.live_octets, weight(entry.octets));
    if (when_us != 0 && (segment.dead_since_us == 0 || when_us < segment.dead_since_us))
        segment.dead_since_us = when_us;
}

// If only the entry that the record was written for still has these octets, it is as if it had never been
// copied: an index made anew, which may not see the copies any more, must come to the same.
void Applier::unshare(Place place) {
    std::vector<std::pair<std::uint64_t, Uid>> holders;
    batch_.each(key::references(place), [&](std::string_view at, std::string_view) {
        holders.push_back(key::reference_entry(at));
        return holders.size() < 2;
    });
    if (holders.size() != 1) return;
    const auto [mailbox, uid] = holders.front();
    auto last = entry(mailbox, uid);
    if (!last || last->place != place || last->owner_mailbox != mailbox || last->owner_uid != uid) return;
    last->shared = false;
    put(mailbox, uid, *last);
    batch_.erase(key::reference(place, mailbox, uid));
}

bool Applier::referenced(Place place) const {
    bool found = false;
    batch_.each(key::references(place), [&](std::string_view, std::string_view) {
        found = true;
        return false;
    });
    return found;
}

void Applier::apply_mailbox(const Record& record, Place place) {
    MailboxState& state = mailbox_of(record);
    note_id(record.mailbox);
    find_last_guid() = std::max(find_last_guid(), record.guid);
    state.uid_next = std::max(state.uid_next, record.uid);
    state.modseq = std::max(state.modseq, record.modseq);
    state.uid_validity = record.uid_validity;
    state.date_us = record.date_us;
    state.stated_in = place.segment;
    const auto erase_name = [&] {
        const std::string name = key::name(state.account, state.name);
        if (batch_.get_as<std::uint64_t>(name) == record.mailbox) batch_.erase(name);
    };
    if ((record.bits & bit::gone) != 0) {
        std::vector<Uid> uids;
        batch_.each(key::entries(record.mailbox), [&](std::string_view at, std::string_view) {
            uids.push_back(key::entry_uid(at));
            return true;
        });
        for (const Uid uid : uids)
            if (const auto there = entry(record.mailbox, uid))
                remove_entry(record.mailbox, uid, *there, record.date_us);
        if (!state.gone) erase_name();
        state.gone = true;
        state.name = record.name;
        return;
    }
    if (state.name != record.name) {
        erase_name();
        usages_.erase(state.account);  // counted anew: it may be kept aside now, or not any more
    }
    state.name = record.name;
    state.keywords = record.keywords;
    batch_.put(key::name(state.account, state.name), number_value(record.mailbox));
}

void Applier::apply_directory(const Record& record, Place place) {
    const DirectoryRecord& put = record.directory;
    DirectoryState state;
    state.id = put.id;
    state.stated_in = place.segment;
    state.gone = (record.bits & bit::gone) != 0;
    state.value = put.value;
    note_id(put.id);
    batch_.put(key::directory(put.kind, put.key), encode(state));
}

// ---- the state ----

std::optional<IndexEntry> Applier::entry(std::uint64_t mailbox, Uid uid) const {
    return batch_.entry(mailbox, uid);
}

void Applier::put(std::uint64_t mailbox, Uid uid, const IndexEntry& entry) {
    batch_.put(key::entry(mailbox, uid), encode_entry(entry, mailbox, uid));
}

const MailboxState* Applier::mailbox(std::uint64_t id) {
    const MailboxState* state = find_mailbox(id);
    return state == nullptr || state->gone ? nullptr : state;
}

Applier::KnownMailbox& Applier::know_mailbox(std::uint64_t id) {
    auto [at, unread] = mailboxes_.try_emplace(id);
    if (unread) at->second.state = batch_.get_as<MailboxState>(key::mailbox(id));
    return at->second;
}

const MailboxState* Applier::find_mailbox(std::uint64_t id) {
    const KnownMailbox& known = know_mailbox(id);
    return known.state ? &*known.state : nullptr;
}

MailboxState* Applier::find_mailbox_to_change(std::uint64_t id) {
    KnownMailbox& known = know_mailbox(id);
    if (!known.state) return nullptr;
    note_change(id, known);
    return &*known.state;
}

// The mailbox of a record; if its own record stands later in the log (the cleaner has moved it), it begins
// here.
MailboxState& Applier::mailbox_of(const Record& record) {
    KnownMailbox& known = know_mailbox(record.mailbox);
    if (!known.state) known.state.emplace().account = record.account;
    note_change(record.mailbox, known);
    return *known.state;
}

void Applier::note_change(std::uint64_t id, KnownMailbox& known) {
    if (!std::exchange(known.changed, true)) changed_mailboxes_.push_back(id);
}

// One message more or less.
void Applier::count(MailboxState& state, int messages, std::uint64_t octets) {
    const auto usage = usages_.find(state.account);
    const auto add = [&](std::uint64_t& all_messages, std::uint64_t& all_octets) {
        all_messages += messages > 0 ? 1 : -1;
        all_octets += messages > 0 ? octets : 0 - octets;
    };
    add(state.messages, state.octets);
    if (usage != usages_.end() && !is_kept_aside(state.name))
        add(usage->second.messages, usage->second.octets);
}

const Usage& Applier::usage(std::uint64_t account) {
    auto [at, uncounted] = usages_.try_emplace(account);
    if (!uncounted) return at->second;
    std::vector<std::uint64_t> ids;
    batch_.each(key::names(account), [&](std::string_view, std::string_view value) {
        if (const auto id = decode<std::uint64_t>(value)) ids.push_back(*id);
        return true;
    });
    for (const std::uint64_t id : ids) {
        const MailboxState* state = mailbox(id);
        if (state == nullptr || is_kept_aside(state->name)) continue;
        at->second.messages += state->messages;
        at->second.octets += state->octets;
    }
    return at->second;
}

SegmentState& Applier::find_segment(std::uint32_t number) {
    auto [at, unread] = segments_.try_emplace(number);
    if (unread) at->second = batch_.get_as<SegmentState>(key::segment(number)).value_or(SegmentState());
    return at->second;
}

std::uint64_t& Applier::find_next_id() {
    if (!next_id_) next_id_ = batch_.get_as<std::uint64_t>(key::next_id()).value_or(1);
    return *next_id_;
}

Guid& Applier::find_last_guid() {
    if (!last_guid_) last_guid_ = batch_.get_as<Guid>(key::last_guid()).value_or(Guid());
    return *last_guid_;
}

void Applier::note_id(std::uint64_t id) {
    find_next_id() = std::max(find_next_id(), id + 1);
}

void Applier::forget_segment(std::uint32_t number) {
    segments_.erase(number);
    batch_.erase(key::segment(number));
}

void Applier::forget_segments_except(const std::vector<std::uint32_t>& numbers) {
    std::vector<std::uint32_t> gone;
    batch_.each(key::segments(), [&](std::string_view key, std::string_view) {
        gone.push_back(key::segment_number(key));
        return true;
    });
    for (const auto& [number, state] : segments_)
        gone.push_back(number);
    for (const std::uint32_t number : gone)
        if (!std::binary_search(numbers.begin(), numbers.end(), number)) forget_segment(number);
}

Result<void> Applier::commit(Position reached) {
    // Sorted, because RocksDB puts neighbours in faster.
    std::sort(changed_mailboxes_.begin(), changed_mailboxes_.end());
    for (const std::uint64_t id : changed_mailboxes_) {
        KnownMailbox& known = mailboxes_.at(id);
        batch_.put(key::mailbox(id), encode(*known.state));
        known.changed = false;
    }
    changed_mailboxes_.clear();
    for (const auto& [number, state] : segments_)
        batch_.put(key::segment(number), encode(state));
    if (next_id_) batch_.put(key::next_id(), number_value(*next_id_));
    if (last_guid_)
        batch_.put(key::last_guid(),
                   {reinterpret_cast<const char*>(last_guid_->bytes.data()), last_guid_->bytes.size()});
    std::string position;
    put_number(position, reached.segment);
    put_number(position, reached.offset);
    batch_.put(key::position(), position);
    auto committed = batch_.commit();
    if (!committed)
        clear();
    else if (mailboxes_.size() > known_mailboxes_max || usages_.size() > known_mailboxes_max)
        forget_states();
    segments_.clear();
    return committed;
}

void Applier::clear() {
    batch_.clear();
    forget_states();
}

// They are read from the index again when they are needed.
void Applier::forget_states() {
    mailboxes_.clear();
    changed_mailboxes_.clear();
    usages_.clear();
    segments_.clear();
    next_id_.reset();
    last_guid_.reset();
}

}  // namespace pier::store::log
