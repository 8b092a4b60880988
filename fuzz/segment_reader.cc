// Feeds the reader of segments with arbitrary octets: a disk may hand back anything, and mail is written by
// strangers. One octet chooses what the reader gets, the rest is the segment behind its header. With `mend`
// the checksums are put right first, so that what lies behind them is reached as well.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <xxhash.h>

#include "fuzz/require.h"
#include "store/log/segment.h"

namespace {

using namespace pier;
using fuzz::require;
using namespace pier::store;
using namespace pier::store::log;

enum Choice : std::uint8_t { mend = 1, footer = 2, all_durable = 4, replay_half = 8 };

class MemoryFile : public File {
  public:
    explicit MemoryFile(std::string_view octets) : octets_(octets) {}
    Result<void> write(std::uint64_t, std::span<const std::string_view>) override { return refused(); }
    Result<std::size_t> read(std::uint64_t offset, std::span<char> out, Wait) const override {
        if (offset >= octets_.size()) return std::size_t{0};
        return octets_.copy(out.data(), out.size(), static_cast<std::size_t>(offset));
    }
    Result<void> sync() override { return refused(); }
    Result<void> truncate(std::uint64_t) override { return refused(); }
    Result<std::uint64_t> octets() const override { return std::uint64_t{octets_.size()}; }
    int descriptor() const override { return -1; }
    Result<std::int64_t> changed_ns() const override { return 1; }

  private:
    static Error refused() {
        require(false, "reading does not write");
        return {};
    }
    std::string_view octets_;
};

template <class T>
void put_at(std::string& octets, std::size_t at, T value) {
    std::memcpy(octets.data() + at, &value, sizeof value);
}

// Puts right the checksums of whatever looks like a record (docs/disk-format.md).
void mend_checksums(std::string& segment, ChecksumKey key) {
    constexpr std::size_t checksum_at = 32, payload_checksum_at = 40;
    for (std::size_t at = segment_header_octets; at + record_header_octets <= segment.size();
         at += record_alignment) {
        const auto size = peek_record(std::string_view(segment).substr(at));
        if (!size || size->payload_offset() > segment.size() - at) continue;
        const std::size_t payload = at + static_cast<std::size_t>(size->payload_offset());
        if (size->payload_octets <= segment.size() - payload)
            put_at(segment, at + payload_checksum_at,
                   XXH3_64bits(segment.data() + payload, static_cast<std::size_t>(size->payload_octets)));
        put_at(segment, at + checksum_at, std::uint64_t{0});
        put_at(
            segment, at + checksum_at,
            XXH3_64bits_withSeed(segment.data() + at, static_cast<std::size_t>(size->payload_offset()), key));
    }
}

struct Seen {
    std::vector<std::uint64_t> offsets;
    ChecksumKey key = 0;
    std::uint32_t number = 0;
    std::uint64_t octets = 0;

    Result<void> operator()(const Record& record, Place place, std::uint64_t total) {
        require(place.segment == number, "the records are this segment's");
        require(place.offset % record_alignment == 0, "records are aligned");
        require(Place::unpack(place.packed()) == place, "a place is one number");
        require(place.offset + total <= octets, "a record lies inside the file");
        require(offsets.empty() || offsets.back() < place.offset, "records come in order");
        offsets.push_back(place.offset);
        const std::string again = encode_record(record, key);
        const auto decoded = decode_record(again, key);
        require(decoded.has_value(), "what was decoded can be written again");
        require(encode_record(*decoded, key) == again, "and means the same");
        return {};
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::uint8_t choice = data[0];
    const std::string_view input = fuzz::text_of(data + 1, size - 1);
    const ChecksumKey key = checksum_key(Guid{});
    constexpr std::uint32_t number = 7;

    static_cast<void>(decode_segment_header(input));
    for (std::string_view table = input; true;) {
        const auto entry = next_table_entry(table);
        if (!entry || !*entry) break;
        static_cast<void>(decode_record((*entry)->header_and_meta, key));
    }

    std::string segment = encode_segment_header({number, 0, Guid{}});
    require(decode_segment_header(segment).has_value(), "our own header is good");
    segment += input;
    if (choice & mend) mend_checksums(segment, key);
    if (choice & footer) {
        // Its table, if there is one, is the last record of that type.
        std::uint64_t table = segment_header_octets;
        for (std::size_t at = table; at + record_header_octets <= segment.size(); at += record_alignment) {
            const auto record = decode_record(std::string_view(segment).substr(at), key);
            if (record && record->type == RecordType::table) table = at;
        }
        segment += encode_footer(table, key);
    }

    const MemoryFile file(segment);
    const std::uint64_t durable_to = choice & all_durable ? segment.size() : 0;
    const std::uint64_t from = choice & replay_half ? segment.size() / 2 : 0;
    Seen scanned{{}, key, number, segment.size()};
    const auto scan = scan_segment(file, number, from, durable_to, key, std::ref(scanned));
    require(scan.has_value(), "no octets make reading fail");
    require(scan->octets == segment.size(), "the size is the file's");
    require(scan->end >= segment_header_octets &&
                scan->end <= std::max<std::uint64_t>(scan->octets, segment_header_octets),
            "the end lies inside");
    Seen listed{{}, key, number, segment.size()};
    require(for_each_in_table(number, scan->table, from, key, std::ref(listed)).has_value(),
            "the table is good");
    require(listed.offsets == scanned.offsets, "the table lists what was found");

    const auto sealed = sealed_at(file, key);
    require(sealed.has_value(), "no octets make reading fail");
    if (*sealed)
        if (const auto table = read_table(file, **sealed, key))
            static_cast<void>(for_each_in_table(
                number, *table, 0, key, [](const Record&, Place, std::uint64_t) { return Result<void>(); }));
    return 0;
}
