#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

#include "store/log/log_store.h"
#include "store/log/recovery.h"

namespace pier::store {
namespace log {
namespace {

// Reads a whole store and says what is wrong with it.
class Verification {
  public:
    Verification(const LogStoreOptions& options, Disk& disk, const OnProgress& progress)
        : options_(options), disk_(disk), progress_(progress) {}

    Result<VerifyReport> run() {
        const auto numbers = list_segments(disk_);
        if (!numbers) return numbers.error();
        for (const std::uint32_t number : *numbers) {
            auto file = disk_.open(segment_name(number));
            if (!file) return file.error();
            const auto octets = (*file)->octets();
            if (!octets) return octets.error();
            all_octets_ += *octets;
            files_[number] = std::move(*file);
        }
        for (const auto& [number, file] : files_)
            if (const auto header = read_segment_header(*file)) key_ = checksum_key(header->store_id);
        if (!files_.empty()) open_index();
        for (const auto& [number, file] : files_)
            if (auto verified = verify_segment(number, *file); !verified) return verified.error();
        if (index_) verify_index();
        return std::move(report_);
    }

  private:
    void problem(std::string text) { report_.problems.push_back(std::move(text)); }

    Result<void> verify_segment(std::uint32_t number, const File& file) {
        ++report_.segments;
        if (const auto header = read_segment_header(file); !header)
            problem(fmt::format("segment {}: {}", number, header.error().text));
        const auto sealed = sealed_at(file, key_);
        if (!sealed) return sealed.error();
        const bool last = number == files_.rbegin()->first;
        const OnRecord check = [&](const Record& record, Place place, std::uint64_t total) -> Result<void> {
            return verify_record(file, record, place, total);
        };
        if (*sealed) {
            const auto table = read_table(file, **sealed, key_);
            if (table) {
                const std::uint64_t end = **sealed + record_header_octets + table->size();
                verify_filling(file, {number, **sealed}, end, record_octets(0, table->size()));
                return for_each_in_table(number, *table, 0, key_, check);
            }
            problem(
                fmt::format("segment {}: {}; its records are read one by one", number, table.error().text));
        }
        const auto octets = file.octets();
        if (!octets) return octets.error();
        std::uint64_t durable_to = last ? 0 : *octets;
        if (number == position_.segment) durable_to = std::max(durable_to, position_.offset);
        const auto scan = scan_segment(file, number, 0, durable_to, key_, check);
        if (!scan) return scan.error();
        if (scan->octets < durable_to)
            problem(
                fmt::format("segment {}: it ends at {}, but was durable up to {}: what is missing is lost",
                            number, scan->octets, durable_to));
        for (const std::string& text : scan->problems)
            problem(text);
        if (!last && !*sealed) problem(fmt::format("segment {}: it has no table at its end", number));
        return {};
    }

    Result<void> verify_record(const File& file, const Record& record, Place place, std::uint64_t total) {
        ++report_.records;
        report_.octets += total;
        RecordSize size;
        const auto stored = read_record(file, place.offset, Wait::may_block, key_, size);
        if (!stored) {
            problem(
                fmt::format("segment {}, offset {}: {}", place.segment, place.offset, stored.error().text));
        } else if (record.type == RecordType::message) {
            ++report_.messages;
            message_octets_[place.packed()] = record.payload_octets;
            const auto payload =
                check_payload(file, place.offset + size.payload_offset(), size.payload_octets,
                              stored->payload_checksum, Wait::may_block);
            if (!payload) {
                problem(fmt::format("segment {}, offset {}: message {} is damaged: {}", place.segment,
                                    place.offset, record.guid.hex(), payload.error().text));
            }
        }
        if (stored)
            verify_filling(file, place, place.offset + size.payload_offset() + size.payload_octets, total);
        if (progress_) progress_(report_.octets, all_octets_);
        return {};
    }

    // Between a record's end and the next multiple of eight there are zeros: anything else was not written by
    // us.
    void verify_filling(const File& file, Place place, std::uint64_t from, std::uint64_t total) {
        std::array<char, record_alignment> octets{};
        const std::span<char> filling(octets.data(), static_cast<std::size_t>(place.offset + total - from));
        const auto n = file.read(from, filling, Wait::may_block);
        if (!n || *n != filling.size() ||
            std::any_of(filling.begin(), filling.end(), [](char c) { return c != 0; }))
            problem(fmt::format(
                "segment {}, offset {}: the octets behind the record are damaged; the record is not",
                place.segment, place.offset));
    }

    void open_index() {
        auto index = Index::open_read_only(options_.folder + "/index");
        if (!index)
            return problem(
                fmt::format("{}: the next start makes the index anew from the segments", index.error().text));
        // One of another form is made anew at the next start, so nothing hangs on what is in it.
        const auto form = (*index)->get_as<std::uint32_t>(key::form());
        if (!form || *form != index_form) return;
        index_ = std::move(*index);
        if (const auto position = index_->get_as<Position>(key::position()); position && *position)
            position_ = **position;
    }

    void verify_index() {
        const auto segments = index_->each(key::segments(), [&](std::string_view at, std::string_view) {
            const std::uint32_t number = key::segment_number(at);
            if (!files_.contains(number))
                problem(fmt::format(
                    "segment {}: the file is missing; restore it from a backup, else its messages are "
                    "lost",
                    number));
            return true;
        });
        if (!segments) problem(segments.error().text);
        const auto read = index_->each(key::entries_all(), [&](std::string_view at, std::string_view value) {
            const auto [mailbox, uid] = key::entry_of(at);
            const auto entry = decode_listed(value);
            const auto found = entry ? message_octets_.find(entry->place.packed()) : message_octets_.end();
            if (found == message_octets_.end() || found->second != entry->octets)
                problem(fmt::format(
                    "index: message {} of mailbox {} leads nowhere; `pier store rebuild` makes the index "
                    "anew",
                    uid, mailbox));
            return true;
        });
        if (!read) problem(read.error().text);
    }

    const LogStoreOptions& options_;
    Disk& disk_;
    const OnProgress& progress_;
    std::map<std::uint32_t, std::unique_ptr<File>> files_;
    std::map<std::uint64_t, std::uint64_t> message_octets_;  // by place
    std::uint64_t all_octets_ = 0;
    ChecksumKey key_ = 0;
    std::unique_ptr<Index> index_;
    Position position_;  // the index knows that everything before it was durable
    VerifyReport report_;
};

}  // namespace
}  // namespace log

Result<VerifyReport> verify_log_store(const LogStoreOptions& options,
                                      const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    const auto disk = options.disk ? options.disk : log::real_disk(options.folder);
    const auto lock = disk->lock("lock");
    if (!lock) return lock.error();
    return log::Verification(options, *disk, progress).run();
}

}  // namespace pier::store
