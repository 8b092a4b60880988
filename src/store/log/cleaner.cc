#include "store/log/cleaner.h"

#include <algorithm>
#include <future>
#include <set>

#include <fmt/format.h>

#include "base/log.h"
#include "store/log/operations.h"

namespace pier::store::log {
namespace {

constexpr std::chrono::milliseconds pause_min{250}, pause_max{60'000}, pause_when_short{2000};
constexpr std::uint64_t short_of_reserves = 4;  // free space below this many reserves is short
constexpr unsigned clean_below_percent_when_short = 90;
constexpr std::uint64_t batch_octets_max = 4 << 20;
constexpr std::size_t batch_records_max = 1000;

struct OldRecord {
    Record record;
    Place place;
    std::uint64_t payload_offset = 0;
};

// Keys and mailboxes that the segment mentions: stated again when its records have been.
struct Mentioned {
    std::set<std::uint64_t> mailboxes;
    std::set<std::pair<std::uint64_t, ImportKey>> import_keys;
};

class WaitedOperation : public Operation {
  public:
    explicit WaitedOperation(std::promise<std::optional<Error>>& told) : told_(told) {}
    void finish(const std::optional<Error>& failure) override { told_.set_value(failure); }

  private:
    std::promise<std::optional<Error>>& told_;
};

// States records of the segment again, as far as they still matter.
class RestateOperation : public WaitedOperation {
  public:
    RestateOperation(std::promise<std::optional<Error>>& told, const File& file, const Segments& segments,
                     std::vector<OldRecord> records)
        : WaitedOperation(told), file_(file), segments_(segments), records_(std::move(records)) {}

    std::uint64_t octets() const override {
        std::uint64_t sum = 0;
        for (const OldRecord& old : records_)
            sum += old.record.payload_octets;
        return sum;
    }

    void build(Group& group) override {
        for (const OldRecord& old : records_)
            restate(group, old);
    }

  private:
    void restate(Group& group, const OldRecord& old) const {
        const std::uint32_t going = old.place.segment;
        switch (old.record.type) {
            case RecordType::message:
                return restate_message(group, old);
            case RecordType::copy: {
                auto entry = group.state().entry(old.record.mailbox, old.record.uid);
                // If its body goes too, it is stated again behind that.
                if (entry && entry->stated_in == going && entry->place.segment != going) {
                    entry->also_in = still_stating(*entry);
                    group.add(copy_record(old.record.mailbox, old.record.uid, old.record.account, *entry));
                }
                return restate_taking_away(group, old);
            }
            case RecordType::flags: {
                const auto entry = group.state().entry(old.record.mailbox, old.record.uid);
                if (entry && entry->modseq == old.record.modseq && entry->stated_in != going)
                    add_again(group, old.record);
                return;
            }
            case RecordType::remove:
                return restate_removals(group, going, old.record);
            case RecordType::directory: {
                const DirectoryRecord& put = old.record.directory;
                const auto state =
                    group.state().batch().get_as<DirectoryState>(key::directory(put.kind, put.key));
                if (!state || state->stated_in != going) return;
                Record kept = old.record;
                kept.bits = state->gone ? bit::gone : 0;
                kept.directory.id = state->id;
                kept.directory.value = state->value;
                return add_again(group, std::move(kept));
            }
            case RecordType::mailbox:
            case RecordType::imported:
            case RecordType::table:
                return;  // see Mentioned
        }
    }

    // As long as a segment states an entry, a rebuild must learn that it was removed.
    void restate_removals(Group& group, std::uint32_t going, Record record) const {
        std::erase_if(record.removals, [&](const Removal& removal) {
            return removal.segment == going || !segments_.contains(removal.segment);
        });
        if (!record.removals.empty()) add_again(group, std::move(record));
    }

    // A copy that moved a message is also the removal of the entry that it took away.
    void restate_taking_away(Group& group, const OldRecord& old) const {
        if (old.record.from_uid == 0) return;
        Record record;
        record.type = RecordType::remove;
        record.mailbox = old.record.from_mailbox;
        record.account = old.record.account;
        record.modseq = old.record.from_modseq;
        for (const std::uint32_t segment : old.record.from_stated_in)
            record.removals.push_back({old.record.from_uid, segment});
        // When the octets were given up is not known here: not before this, or it is known already.
        const auto body = group.state().batch().get_as<SegmentState>(key::segment(old.record.body.segment));
        record.date_us = body && body->dead_since_us != 0 ? body->dead_since_us : group.now_us();
        restate_removals(group, old.place.segment, std::move(record));
    }

    std::vector<std::uint32_t> still_stating(const IndexEntry& entry) const {
        auto stating = stating_segments(entry);
        std::erase_if(stating, [&](std::uint32_t segment) { return !segments_.contains(segment); });
        return stating;
    }

    static void add_again(Group& group, Record record) {
        record.bits |= bit::restated;
        group.add(std::move(record));
    }

    void restate_message(Group& group, const OldRecord& old) const {
        Applier& state = group.state();
        std::vector<std::pair<std::uint64_t, Uid>> holders;
        const auto owner = state.entry(old.record.mailbox, old.record.uid);
        if (owner && owner->place == old.place) holders.emplace_back(old.record.mailbox, old.record.uid);
        state.batch().each(key::references(old.place), [&](std::string_view at, std::string_view) {
            const auto holder = key::reference_entry(at);
            if (holders.empty() || holders.front() != holder) holders.push_back(holder);
            return true;
        });
        Place body;
        for (const auto& [mailbox, uid] : holders) {
            auto entry = state.entry(mailbox, uid);
            const MailboxState* box = state.mailbox(mailbox);
            if (!entry || box == nullptr) continue;
            entry->also_in = still_stating(*entry);
            if (body == Place()) {
                Payload payload;
                payload.file = &file_;
                payload.file_offset = old.payload_offset;
                payload.file_octets = old.record.payload_octets;
                payload.checksum = old.record.payload_checksum;
                body = group.add(message_record(mailbox, uid, box->account, *entry), payload);
                continue;
            }
            entry->place = body;
            entry->owner_mailbox = holders.front().first;
            entry->owner_uid = holders.front().second;
            group.add(copy_record(mailbox, uid, box->account, *entry));
        }
    }

    const File& file_;
    const Segments& segments_;
    const std::vector<OldRecord> records_;
};

// What the segment's records leave behind when they are gone: the counters of its mailboxes, the keys of dead
// imports.
class RestateMentionedOperation : public WaitedOperation {
  public:
    RestateMentionedOperation(std::promise<std::optional<Error>>& told, std::uint32_t going,
                              const Mentioned& mentioned)
        : WaitedOperation(told), going_(going), mentioned_(mentioned) {}

    void build(Group& group) override {
        for (const std::uint64_t id : mentioned_.mailboxes) {
            const MailboxState* state = group.state().mailbox_even_gone(id);
            if (state == nullptr) continue;
            Record record = mailbox_record(id, *state);
            record.bits |= bit::restated;
            record.guid = group.state().last_guid();  // the message that had it may be gone
            group.add(std::move(record));
        }
        for (const auto& [account, import_key] : mentioned_.import_keys) {
            const auto stated_in =
                group.state().batch().get_as<std::uint32_t>(key::import_key(account, import_key));
            if (stated_in != going_) continue;
            Record record;
            record.type = RecordType::imported;
            record.bits = bit::restated;
            record.account = account;
            record.import_key = import_key;
            group.add(std::move(record));
        }
    }

  private:
    const std::uint32_t going_;
    const Mentioned& mentioned_;
};

class ForgetOperation : public WaitedOperation {
  public:
    ForgetOperation(std::promise<std::optional<Error>>& told, std::uint32_t number)
        : WaitedOperation(told), number_(number) {}
    void build(Group& group) override { group.forget_segment(number_); }

  private:
    const std::uint32_t number_;
};

// The records of a segment that is not written to any more: by its table, or one by one if that is damaged.
// `corrupt` if records are lost: then the segment must stay, for whoever may still save them.
Result<void> for_each_record(const File& file, std::uint32_t number, ChecksumKey key,
                             const OnRecord& on_record) {
    const auto table_offset = sealed_at(file, key);
    if (!table_offset) return table_offset.error();
    if (*table_offset) {
        const auto table = read_table(file, **table_offset, key);
        if (table) return for_each_in_table(number, *table, 0, key, on_record);
        if (table.error().kind != ErrorKind::corrupt) return table.error();
    }
    const OnRecord no_more = [](const Record&, Place, std::uint64_t) -> Result<void> { return {}; };
    const auto octets = file.octets();
    if (!octets) return octets.error();
    const auto scan = scan_segment(file, number, 0, *octets, key, no_more);
    if (!scan) return scan.error();
    if (!scan->problems.empty()) return Error{ErrorKind::corrupt, scan->problems.front()};
    return for_each_in_table(number, scan->table, 0, key, on_record);
}

template <class Op, class... Args>
Result<void> perform(Appender& appender, Args&&... args) {
    std::promise<std::optional<Error>> told;
    auto answer = told.get_future();
    appender.submit(std::make_unique<Op>(told, std::forward<Args>(args)...));
    if (const auto failure = answer.get()) return *failure;
    return {};
}

}  // namespace

Cleaner::Cleaner(Disk& disk, Segments& segments, Index& index, Appender& appender, ListingCache& cache,
                 CleanerOptions options)
    : disk_(disk),
      segments_(segments),
      index_(index),
      appender_(appender),
      cache_(cache),
      options_(std::move(options)) {
    if (options_.background) thread_ = std::thread([this] { run(); });
}

Cleaner::~Cleaner() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
}

bool Cleaner::stopping() {
    std::lock_guard lock(mutex_);
    return stopping_;
}

void Cleaner::run() {
    while (true) {
        // Often enough to keep what purge_is_due() promises.
        auto wait = std::clamp(std::chrono::milliseconds(options_.purge_after) / 8, pause_min, pause_max);
        if (short_of_space()) wait = std::min(wait, pause_when_short);
        {
            std::unique_lock lock(mutex_);
            if (wake_.wait_for(lock, wait, [this] { return stopping_; })) return;
        }
        const auto cleaned = clean_what_is_due(false);
        if (!cleaned && cleaned.error().kind == ErrorKind::stopped) return;
        if (!cleaned)
            pier::log::warning("store.cleaner",
                               {{"reason", cleaned.error().text}, {"hint", "it will try again"}});
    }
}

Result<std::uint64_t> Cleaner::clean(bool all) {
    if (auto sealed = appender_.seal(); !sealed) return sealed.error();
    return clean_what_is_due(all);
}

bool Cleaner::purge_is_due(const SegmentState& state) const {
    if (state.dead_since_us == 0) return false;
    // Early enough that the limit is kept even when the cleaner is busy elsewhere.
    const auto limit = std::chrono::duration_cast<std::chrono::microseconds>(options_.purge_after) * 7 / 8;
    return options_.clock().time_since_epoch().count() - state.dead_since_us >= limit.count();
}

std::optional<std::uint64_t> Cleaner::short_of_space() const {
    const auto free = disk_.free_octets();
    if (!free || *free >= options_.reserve_octets * short_of_reserves) return std::nullopt;
    return *free;
}

bool Cleaner::due(const SegmentState& state, bool all, std::optional<std::uint64_t> short_of) const {
    if (all || purge_is_due(state)) return true;
    // What is alive has to fit beside what it is copied from.
    if (short_of && state.live_octets * 100 < state.octets * clean_below_percent_when_short &&
        state.live_octets * 2 < *short_of)
        return true;
    return state.live_octets * 100 < state.octets * options_.clean_below_percent;
}

Result<std::uint64_t> Cleaner::clean_what_is_due(bool all) {
    std::lock_guard lock(working_);
    struct Candidate {
        std::uint32_t number = 0;
        SegmentState state;
    };
    std::vector<Candidate> candidates;
    const auto numbers = segments_.numbers();
    const auto short_of = short_of_space();
    for (const std::uint32_t number : numbers) {
        const auto state = index_.get_as<SegmentState>(key::segment(number));
        if (!state) return state.error();
        // One that the index has forgotten was cleaned, but is still there: the machine stopped before it
        // went.
        const bool forgotten = !*state && number != numbers.back();
        if (forgotten || due(state->value_or(SegmentState()), all, short_of))
            candidates.push_back({number, state->value_or(SegmentState())});
    }
    // The unsealed one is cleaned only when it holds something that must leave the disk, or space is short.
    if (!candidates.empty() && candidates.back().number == numbers.back() &&
        (purge_is_due(candidates.back().state) || short_of))
        if (auto sealed = appender_.seal(); !sealed) return sealed.error();
    // Those with nothing alive first: they cost nothing, and a crash may have left one that has been stated
    // again already.
    std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
        return a.state.live_octets == 0 && b.state.live_octets != 0;
    });
    std::uint64_t count = 0;
    std::optional<Error> failure;
    for (const Candidate& candidate : candidates) {
        if (stopping()) break;
        const auto cleaned = clean_segment(candidate.number);
        if (cleaned) {
            count += *cleaned ? 1 : 0;
            continue;
        }
        if (!failure)
            failure = Error{cleaned.error().kind,
                            fmt::format("segment {}: {}", candidate.number, cleaned.error().text)};
        // A segment that cannot be read is left as it is, and must not keep the others from being cleaned.
        if (failure->kind != ErrorKind::corrupt && failure->kind != ErrorKind::io) break;
    }
    if (failure) return *failure;
    return count;
}

// Reads the messages that will be copied, so that a bad sector stops here and not the appender, and so that
// nobody has to wait for the disk behind them.
Result<void> Cleaner::read_ahead(const File& file, const Record& record, Place place,
                                 std::uint64_t payload_offset) {
    if (record.type != RecordType::message) return {};
    const auto owner = index_.entry(record.mailbox, record.uid);
    bool needed = owner && *owner && (*owner)->place == place;
    const auto walked = index_.each(key::references(place), [&](std::string_view, std::string_view) {
        needed = true;
        return false;
    });
    if (!owner) return owner.error();
    if (!walked || !needed) return walked;
    const auto read =
        check_payload(file, payload_offset, record.payload_octets, record.payload_checksum, Wait::may_block);
    // Damaged octets are copied with the checksum that shows it.
    if (!read && read.error().kind != ErrorKind::corrupt) return read;
    return {};
}

Result<bool> Cleaner::clean_segment(std::uint32_t number) {
    const SegmentPtr segment = segments_.find(number);
    if (!segment) return false;
    const auto opened = segment->file();
    if (!opened) return opened.error();
    const File& file = **opened;
    const auto sealed = sealed_at(file, options_.key);
    if (!sealed) return sealed.error();
    if (!*sealed && number == segments_.numbers().back()) return false;  // still being written

    Mentioned mentioned;
    std::vector<OldRecord> records;
    std::uint64_t octets = 0;
    const auto flush = [&]() -> Result<void> {
        if (stopping()) return Error{ErrorKind::stopped, "the store is closing"};
        octets = 0;
        return perform<RestateOperation>(appender_, file, segments_, std::exchange(records, {}));
    };
    const auto take = [&](const Record& record, Place place, std::uint64_t) -> Result<void> {
        if (record.mailbox != 0) mentioned.mailboxes.insert(record.mailbox);
        if (record.from_mailbox != 0) mentioned.mailboxes.insert(record.from_mailbox);
        if (record.import_key) mentioned.import_keys.emplace(record.account, *record.import_key);
        octets += record.payload_octets;
        const std::uint64_t head = encode_record(record, options_.key).size();
        if (auto read = read_ahead(file, record, place, place.offset + head); !read) return read;
        records.push_back({record, place, place.offset + head});
        if (octets < batch_octets_max && records.size() < batch_records_max) return {};
        return flush();
    };
    auto done = for_each_record(file, number, options_.key, take);
    if (done && !records.empty()) done = flush();
    if (done) done = perform<RestateMentionedOperation>(appender_, number, mentioned);
    if (done) done = perform<ForgetOperation>(appender_, number);
    // An index from before this would look for the segment, and bring back what was removed.
    if (done) done = index_.flush(Wait::may_block);
    if (!done) return done.error();
    // It counts as there until it is gone for good: removals of what it states must not be dropped before.
    segment->keep_open();
    const auto removed = disk_.remove(segment_name(number));
    if (!removed && removed.error().kind != ErrorKind::not_found) return removed.error();
    if (auto synced = disk_.sync_folder("log"); !synced) return synced.error();
    segments_.take_out(number);
    cache_.forget(number);
    ++cleaned_;
    return true;
}

}  // namespace pier::store::log
