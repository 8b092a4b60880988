// The records of a segment, as bytes: encoding and decoding. docs/disk-format.md defines every field. Pure.
//
// A record is a header of fixed size, a meta part whose form depends on the type, and a payload (the octets
// of a message, or the table of a sealed segment), filled up with zeros to a multiple of eight.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/store.h"

namespace pier::store::log {

inline constexpr std::uint32_t format_version = 1;
inline constexpr std::size_t segment_header_octets = 64;
inline constexpr std::size_t record_header_octets = 112;
inline constexpr std::size_t footer_octets = 32;
inline constexpr std::size_t record_alignment = 8;
inline constexpr std::uint32_t meta_octets_max = 16u << 20;

enum class RecordType : std::uint8_t {
    message = 1,  // a message comes into a mailbox, or is stated again with its present state
    copy = 2,  // a mailbox gets an entry for a body that is there already; may remove the source at the same
               // time
    flags = 3,
    remove = 4,
    mailbox = 5,  // made, renamed, its state stated again, or removed
    directory = 6,
    imported = 7,  // an import key whose message is gone
    table = 8,     // the contents of a sealed segment
};

namespace bit {
inline constexpr std::uint16_t dot_lines = 1;  // some line of the message begins with a dot
inline constexpr std::uint16_t gone = 2;       // of mailbox and directory: it has been removed
inline constexpr std::uint16_t restated = 4;   // of records without a body: the cleaner has stated it again
}  // namespace bit

// Where a record stands. Index values and Entry::place hold it as one number.
struct Place {
    std::uint32_t segment = 0;
    std::uint64_t offset = 0;  // of the header; a multiple of eight
    auto operator<=>(const Place&) const = default;
    std::uint64_t packed() const { return std::uint64_t{segment} << 32 | offset / record_alignment; }
    static Place unpack(std::uint64_t packed) {
        return {static_cast<std::uint32_t>(packed >> 32), (packed & 0xFFFFFFFF) * record_alignment};
    }
};

struct Removal {
    Uid uid = 0;
    std::uint32_t segment = 0;  // one that states the entry: the removal must live as long as that does
};

// Every type uses the fields it needs; the others are zero.
struct Record {
    RecordType type{};
    std::uint16_t bits = 0;
    std::uint64_t mailbox = 0;
    std::uint32_t uid = 0;  // mailbox: the next UID
    std::uint64_t account = 0;
    Guid guid;
    std::int64_t date_us = 0;  // message, copy: the internal date; remove, mailbox: when
    Flags flags = 0;
    std::uint64_t modseq = 0;
    std::uint64_t payload_octets = 0;
    std::uint64_t payload_checksum = 0;
    std::uint64_t group_start = 0;  // offset of the group's first record: what is before it was durable

    std::string uidl;                     // message, copy: empty if it is the GUID's digits
    std::optional<ImportKey> import_key;  // message, copy, imported
    std::vector<std::uint32_t> also_in;   // message, copy: segments that state this entry too, when written
    Place body;                           // copy: the record that holds the octets …
    std::uint64_t body_octets = 0;        // … how many …
    std::uint64_t owner_mailbox = 0;      // … and the entry that it was written for
    std::uint32_t owner_uid = 0;
    std::uint64_t from_mailbox = 0;  // copy: the entry that it takes away, if any
    std::uint32_t from_uid = 0;
    std::uint64_t from_modseq = 0;
    std::vector<std::uint32_t> from_stated_in;  // … and the segments that state that one
    std::vector<Removal> removals;              // remove
    std::uint32_t uid_validity = 0;             // mailbox
    std::string name;                           // mailbox
    std::vector<std::string> keywords;          // mailbox
    DirectoryRecord directory;                  // directory
};

// The checksum of a record's header is keyed, so that octets in a message can never pass for a record when a
// damaged segment is searched for the next good one (attack: a forged account record inside a mail, and a
// power loss).
using ChecksumKey = std::uint64_t;
ChecksumKey checksum_key(const Guid& store_id);

// Header and meta, both checksums in place.
std::string encode_record(const Record& record, ChecksumKey key);
// Header, meta, payload and filling.
std::uint64_t record_octets(std::uint64_t meta_octets, std::uint64_t payload_octets);

// What a header says of its record's size, if it is one at all.
struct RecordSize {
    std::uint32_t meta_octets = 0;
    std::uint64_t payload_octets = 0;
    std::uint64_t payload_offset() const { return record_header_octets + meta_octets; }
    std::uint64_t total() const { return record_octets(meta_octets, payload_octets); }
};
// `header` holds record_header_octets. Checks the magic and that the sizes are possible, not the checksum.
std::optional<RecordSize> peek_record(std::string_view header);

// What is needed to read a record's payload.
struct RecordHead {
    RecordType type{};
    RecordSize size;
    std::uint64_t payload_checksum = 0;
};
// `octets` begins with header and meta. Fails with `corrupt`, saying what is wrong.
Result<RecordHead> decode_head(std::string_view octets, ChecksumKey key);
Result<Record> decode_record(std::string_view octets, ChecksumKey key);

struct SegmentHeader {
    std::uint32_t number = 0;
    std::int64_t created_us = 0;
    Guid store_id;
};
std::string encode_segment_header(const SegmentHeader& header);
Result<SegmentHeader> decode_segment_header(std::string_view octets);

// The last octets of a sealed segment: where its table's record stands.
// Keyed like a record's header, so that a message cannot end like one.
std::string encode_footer(std::uint64_t table_offset, ChecksumKey key);
std::optional<std::uint64_t> decode_footer(std::string_view octets, ChecksumKey key);

// The table's payload is a list of these: each record's offset, then its header and meta.
void append_table_entry(std::string& table, std::uint64_t offset, std::string_view header_and_meta);
struct TableEntry {
    std::uint64_t offset = 0;
    std::string_view header_and_meta;
};
// Takes the next entry off the front of `table`; absent at its end; `corrupt` if it makes no sense.
Result<std::optional<TableEntry>> next_table_entry(std::string_view& table);

}  // namespace pier::store::log
