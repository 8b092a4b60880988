#include "store/log/group.h"

#include <algorithm>

#include "base/random.h"
#include "store/log/checksum.h"

namespace pier::store::log {
namespace {

constexpr std::size_t block_octets = 1 << 20;
constexpr char zeros[record_alignment] = {};

const File* file_of(const Payload& payload) {
    if (payload.spool != nullptr) return payload.spool->file();
    return payload.file;
}

std::uint64_t file_octets_of(const Payload& payload) {
    if (payload.spool != nullptr) return payload.spool->file() != nullptr ? payload.spool->octets() : 0;
    return payload.file_octets;
}

std::string_view memory_of(const Payload& payload) {
    if (payload.spool == nullptr) return {};
    return payload.spool->memory();
}

Guid make_guid(std::uint64_t ms) {
    Guid guid;
    random_bytes(guid.bytes);
    for (int i = 0; i < 6; ++i)
        guid.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
    guid.bytes[6] &= 0x7F;  // room to count upwards within the millisecond
    return guid;
}

// The next larger one, for the same millisecond or a clock that went back.
Guid successor(Guid guid) {
    for (std::size_t i = guid.bytes.size(); i-- > 0;)
        if (++guid.bytes[i] != 0) break;
    return guid;
}

}  // namespace

Guid Group::next_guid() {
    const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(0, now_us() / 1000));
    const Guid fresh = make_guid(ms);
    const Guid last = applier_.last_guid();
    return fresh > last ? fresh : successor(last);
}

std::uint64_t Group::checksum_of(const Payload& payload) {
    if (payload.checksum) return *payload.checksum;
    Checksum sum;
    sum.add(payload.text);
    sum.add(memory_of(payload));
    if (const File* file = file_of(payload)) {
        std::string block(block_octets, '\0');
        std::uint64_t left = file_octets_of(payload), offset = payload.file_offset;
        while (left > 0 && !failure_) {
            const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(left, block.size()));
            const auto n = file->read(offset, {block.data(), most}, Wait::may_block);
            if (!n || *n == 0) {
                fail_reading(n ? Error{ErrorKind::io, "a spool file is shorter than what was written to it"}
                               : n.error());
                break;
            }
            sum.add({block.data(), *n});
            offset += *n;
            left -= *n;
        }
    }
    return sum.value();
}

Place Group::add(Record record, const Payload& payload) {
    const std::string_view memory = memory_of(payload);
    const std::uint64_t in_file = file_octets_of(payload);
    record.group_start = target_.start;
    record.payload_octets = payload.text.size() + memory.size() + in_file;
    record.payload_checksum = checksum_of(payload);
    const Place place{target_.segment, end_};

    std::string head = encode_record(record, target_.key);
    const std::uint64_t total = record_octets(head.size() - record_header_octets, record.payload_octets);
    append_table_entry(table_, end_, head);
    std::uint64_t offset = end_;
    const auto next = [&](Piece piece) {
        const std::size_t octets = piece.owned.empty() ? piece.text.size() : piece.owned.size();
        add_piece(offset, std::move(piece));
        offset += octets;
    };
    next({std::move(head), {}});
    next({{}, payload.text});
    next({{}, memory});
    if (in_file > 0) copy_file(*file_of(payload), payload.file_offset, in_file, offset);
    offset += in_file;
    next({{}, {zeros, static_cast<std::size_t>(end_ + total - offset)}});
    end_ += total;
    ++records_;
    applier_.apply(record, place, total);
    return place;
}

void Group::add_piece(std::uint64_t offset, Piece piece) {
    if (piece.owned.empty() && piece.text.empty()) return;
    Piece& kept = pieces_.emplace_back(std::move(piece));
    if (!kept.owned.empty()) kept.text = kept.owned;
    if (runs_.empty() || runs_.back().end != offset) runs_.push_back({offset, {}, offset});
    runs_.back().pieces.push_back(kept.text);
    runs_.back().end += kept.text.size();
}

void Group::copy_file(const File& file, std::uint64_t from, std::uint64_t octets, std::uint64_t to) {
    std::string block(static_cast<std::size_t>(std::min<std::uint64_t>(octets, block_octets)), '\0');
    while (octets > 0 && !failure_) {
        const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(octets, block.size()));
        const auto n = file.read(from, {block.data(), most}, Wait::may_block);
        if (!n) return fail_reading(n.error());
        if (*n == 0) return fail_reading({ErrorKind::io, "a file of the store is shorter than it was"});
        const std::string_view piece(block.data(), *n);
        if (auto written = target_.file.write(to, {&piece, 1}); !written) failure_ = written.error();
        from += *n;
        to += *n;
        octets -= *n;
    }
}

Result<void> Group::write() {
    if (failure_) return *failure_;
    for (const Run& run : runs_)
        if (auto written = target_.file.write(run.offset, run.pieces); !written) return written;
    return {};
}

}  // namespace pier::store::log
