#include "store/log/recovery.h"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

#include "base/log.h"
#include "base/random.h"
#include "store/log/apply.h"
#include "store/log/octets.h"

namespace pier::store::log {
namespace {

constexpr std::size_t records_per_commit = 2000;

class Recovery {
  public:
    Recovery(Disk& disk, Segments& segments, const std::string& index_folder,
             std::uint64_t index_cache_octets, const Clock& clock, const OnProgress& progress)
        : disk_(disk),
          segments_(segments),
          index_folder_(index_folder),
          index_cache_octets_(index_cache_octets),
          clock_(clock),
          progress_(progress) {}

    Result<Recovered> run(bool rebuild) {
        if (auto found = find_segments(); !found) return found.error();
        if (auto opened = open_index(rebuild); !opened) return opened.error();
        if (numbers_.empty()) {
            if (auto made = begin_segment(1); !made) return made.error();
        } else {
            if (auto replayed = replay(); !replayed) return replayed.error();
            // So that it is not done again after the next crash.
            if (result_.rebuilt || result_.replayed_records > 0)
                if (auto flushed = result_.index->flush(Wait::may_block); !flushed) return flushed.error();
        }
        return std::move(result_);
    }

  private:
    Result<void> find_segments() {
        auto numbers = list_segments(disk_);
        if (!numbers) return numbers.error();
        numbers_ = std::move(*numbers);
        bool identified = false;
        for (const std::uint32_t number : std::vector<std::uint32_t>(numbers_)) {
            auto file = disk_.open(segment_name(number));
            if (!file) return file.error();
            const auto octets = (*file)->octets();
            if (!octets) return octets.error();
            const auto header = read_segment_header(**file);
            if (!header) {
                const bool never_used = number == numbers_.back() && *octets <= segment_header_octets;
                if (header.error().kind == ErrorKind::corrupt && never_used) {
                    // The machine stopped while it was being made: nothing can have been acknowledged in it.
                    pier::log::warning("store.segment.unfinished", {{"segment", number}});
                    if (auto removed = disk_.remove(segment_name(number)); !removed) return removed;
                    numbers_.pop_back();
                    continue;
                }
                if (header.error().kind != ErrorKind::corrupt) return header.error();
                pier::log::error("store.segment.damaged",
                                 {{"segment", number}, {"reason", header.error().text}});
            } else if (!identified) {
                result_.store_id = header->store_id;
                identified = true;
            } else if (header->store_id != result_.store_id) {
                return Error{ErrorKind::invalid,
                             fmt::format("{} belongs to another store: move it out of the folder",
                                         segment_name(number))};
            }
            octets_of_[number] = *octets;
            segments_.make(disk_, number);
        }
        if (!identified && !numbers_.empty())
            return Error{ErrorKind::corrupt,
                         "no segment has a readable header: restore the log from a backup"};
        if (!identified) random_bytes(result_.store_id.bytes);
        key_ = checksum_key(result_.store_id);
        return {};
    }

    Result<void> open_index(bool rebuild) {
        auto index = Index::open(index_folder_, index_cache_octets_);
        std::string why = rebuild ? "asked for" : index ? "" : index.error().text;
        if (!index && index.error().kind == ErrorKind::no_space) return index.error();
        if (why.empty()) {
            auto unusable = unusable_because(**index);
            if (!unusable) return unusable.error();
            why = *unusable;
        }
        if (!why.empty()) {
            if (!numbers_.empty()) pier::log::warning("store.index.rebuild", {{"reason", why}});
            if (index) index->reset();
            if (auto destroyed = Index::destroy(index_folder_); !destroyed) return destroyed;
            index = Index::open(index_folder_, index_cache_octets_);
            if (!index) return index.error();
            result_.rebuilt = !numbers_.empty();
            position_ = {};
            Batch batch(**index);
            batch.put(key::store_id(), store_id_text());
            std::string form;
            put_number(form, index_form);
            batch.put(key::form(), form);
            if (auto committed = batch.commit(); !committed) return committed;
        }
        result_.index = std::move(*index);
        return {};
    }

    std::string_view store_id_text() const {
        return {reinterpret_cast<const char*>(result_.store_id.bytes.data()), result_.store_id.bytes.size()};
    }

    // Why the index does not fit the segments; empty if it does. Sets position_.
    Result<std::string> unusable_because(const Index& index) {
        const auto id = index.get(key::store_id());
        if (!id) return id.error();
        if (!*id) return std::string("there is none");
        if (**id != store_id_text()) return std::string("it is of another store");
        const auto form = index.get_as<std::uint32_t>(key::form());
        if (!form) return form.error();
        if (*form != index_form) return std::string("it has the form of another version of Pier");
        const auto position = index.get_as<Position>(key::position());
        if (!position) return position.error();
        if (!*position) return numbers_.empty() ? std::string() : std::string("it is empty");
        position_ = **position;
        const auto at = octets_of_.find(position_.segment);
        if (at == octets_of_.end() || position_.offset > at->second)
            return std::string("it is ahead of the log");
        std::string why;
        const auto walked = index.each(key::segments(), [&](std::string_view key, std::string_view) {
            for (const auto& [number, octets] : octets_of_)
                if (key == key::segment(number)) return true;
            why = "it is older than a cleaning";
            return false;
        });
        if (!walked) return walked.error();
        return why;
    }

    Result<void> replay() {
        Applier applier(*result_.index);
        std::uint64_t all = 0, done = 0;
        for (const auto& [number, octets] : octets_of_)
            if (number >= position_.segment) all += octets;
        for (const std::uint32_t number : numbers_) {
            if (number < position_.segment && number != numbers_.back()) continue;
            if (auto r = replay_segment(applier, number); !r) return r;
            done += octets_of_[number];
            if (progress_) progress_(done, all);
        }
        if (auto kept = keep_what_was_found(); !kept) return kept;
        // Copies may have named places in segments that were cleaned later; all have been stated again since.
        applier.forget_segments_except(numbers_);
        if (auto committed = applier.commit(reached_); !committed) return committed;
        if (result_.replayed_records > 0)
            pier::log::info("store.replayed",
                            {{"records", result_.replayed_records}, {"rebuilt", result_.rebuilt}});
        if (!result_.active.segment) return begin_segment(numbers_.back() + 1);
        return {};
    }

    // If only the process died, the last records may be in the kernel's memory alone. They are about to be
    // shown, so they must survive the machine's death as well (else a UID could be given to two messages).
    Result<void> keep_what_was_found() {
        const auto last = segments_.find(numbers_.back())->file();
        if (!last) return last.error();
        if (auto synced = (*last)->sync(); !synced) return synced;
        return disk_.sync_folder("log");
    }

    Result<void> replay_segment(Applier& applier, std::uint32_t number) {
        const SegmentPtr segment = segments_.find(number);
        const auto opened = segment->file();
        if (!opened) return opened.error();
        File& file = **opened;
        const bool last = number == numbers_.back();
        const std::uint64_t from = number == position_.segment ? position_.offset : 0;
        // Behind a position in a later segment everything here is known: it is read for its table alone.
        const std::uint64_t apply_from = number < position_.segment ? octets_of_[number] : from;
        const OnRecord apply = [&](const Record& record, Place place, std::uint64_t total) -> Result<void> {
            applier.apply(record, place, total);
            reached_ = {place.segment, place.offset + total};
            if (++result_.replayed_records % records_per_commit == 0) return applier.commit(reached_);
            return {};
        };
        const auto table_offset = sealed_at(file, key_);
        if (!table_offset) return table_offset.error();
        reached_ = {number, std::max<std::uint64_t>(from, segment_header_octets)};
        if (*table_offset) {
            const auto table = read_table(file, **table_offset, key_);
            if (table) {
                if (auto r = for_each_in_table(number, *table, apply_from, key_, apply); !r) return r;
                reached_ = {number, octets_of_[number]};
                return {};
            }
            if (table.error().kind != ErrorKind::corrupt) return table.error();
            pier::log::error("store.segment.damaged", {{"segment", number},
                                                       {"reason", table.error().text},
                                                       {"hint", "its records are read one by one instead"}});
        }
        // A segment was durable to its end before the next one was begun.
        const std::uint64_t durable_to = last ? from : octets_of_[number];
        auto scan = scan_segment(file, number, apply_from, durable_to, key_, apply);
        if (!scan) return scan.error();
        for (const std::string& problem : scan->problems)
            pier::log::error("store.damaged", {{"what", problem}});
        reached_ = {number, scan->end};
        if (!last) return {};
        // A footer without a good table: sealing was cut short, so it is cut off like any torn tail.
        if (scan->octets > scan->end) {
            pier::log::warning("store.tail.torn", {{"segment", number},
                                                   {"octets", scan->octets - scan->end},
                                                   {"hint", "written but never acknowledged: cut off"}});
            if (auto cut = file.truncate(scan->end); !cut) return cut;
        }
        result_.active = {segment, *opened, scan->end, std::move(scan->table)};
        return {};
    }

    Result<void> begin_segment(std::uint32_t number) {
        auto file = create_segment(disk_, {number, clock_().time_since_epoch().count(), result_.store_id});
        if (!file) return file.error();
        std::shared_ptr<File> shared = std::move(*file);
        result_.active = {segments_.make(disk_, number, shared), shared, segment_header_octets, {}};
        return {};
    }

    Disk& disk_;
    Segments& segments_;
    const std::string index_folder_;
    const std::uint64_t index_cache_octets_;
    const Clock& clock_;
    const OnProgress& progress_;
    std::vector<std::uint32_t> numbers_;
    std::map<std::uint32_t, std::uint64_t> octets_of_;
    ChecksumKey key_ = 0;
    Position position_;  // the index knows everything before it
    Position reached_;
    Recovered result_;
};

}  // namespace

Result<SegmentHeader> read_segment_header(const File& file) {
    std::array<char, segment_header_octets> octets;
    const auto n = file.read(0, octets, Wait::may_block);
    if (!n) return n.error();
    return decode_segment_header({octets.data(), *n});
}

Result<std::vector<std::uint32_t>> list_segments(Disk& disk) {
    const auto names = disk.list("log");
    if (!names) return names.error();
    std::vector<std::uint32_t> numbers;
    for (const std::string& name : *names)
        if (const auto number = segment_number(name)) numbers.push_back(*number);
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

Result<Recovered> recover(Disk& disk, Segments& segments, const std::string& index_folder,
                          std::uint64_t index_cache_octets, const Clock& clock, bool rebuild,
                          const OnProgress& progress) {
    return Recovery(disk, segments, index_folder, index_cache_octets, clock, progress).run(rebuild);
}

}  // namespace pier::store::log
