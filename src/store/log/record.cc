#include "store/log/record.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "store/log/checksum.h"
#include "store/log/octets.h"

namespace pier::store::log {
namespace {

constexpr std::uint32_t record_magic = 0x52726950;           // "PirR"
constexpr std::uint64_t segment_magic = 0x4745535245495055;  // "UPIERSEG"
constexpr std::uint64_t footer_magic = 0x4C41455352454950;   // "PIERSEAL"
constexpr std::size_t checksum_at = 32;
constexpr std::uint64_t payload_octets_max = std::uint64_t{1} << 46;
constexpr std::size_t name_octets_max = 4096;

constexpr std::size_t short_octets_max = 240;  // XXH3 has a way of its own up to here, several times faster

std::uint64_t checksum_without_itself(std::string_view octets, ChecksumKey key) {
    if (octets.size() <= short_octets_max) {
        std::array<char, short_octets_max> copy;
        octets.copy(copy.data(), octets.size());
        std::fill_n(copy.begin() + checksum_at, 8, '\0');
        return checksum_of({copy.data(), octets.size()}, key);
    }
    Checksum sum(key);
    static constexpr char zeros[8] = {};
    sum.add(octets.substr(0, checksum_at));
    sum.add({zeros, sizeof zeros});
    sum.add(octets.substr(checksum_at + sizeof zeros));
    return sum.value();
}

void put_guid(std::string& out, const Guid& guid) {
    out.append(reinterpret_cast<const char*>(guid.bytes.data()), guid.bytes.size());
}

Guid take_guid(OctetReader& in) {
    Guid guid;
    const std::string_view octets = in.text(guid.bytes.size());
    octets.copy(reinterpret_cast<char*>(guid.bytes.data()), octets.size());
    return guid;
}

void put_identity(std::string& out, const Record& record) {
    put_number(out, static_cast<std::uint8_t>(record.uidl.size()));
    out += record.uidl;
    put_number(out, static_cast<std::uint8_t>(record.import_key ? 1 : 0));
    if (record.import_key)
        out.append(reinterpret_cast<const char*>(record.import_key->data()), record.import_key->size());
}

void take_identity(OctetReader& in, Record& record) {
    record.uidl = in.text(in.number<std::uint8_t>());
    if (in.number<std::uint8_t>() == 0) return;
    ImportKey key{};
    const std::string_view octets = in.text(key.size());
    octets.copy(reinterpret_cast<char*>(key.data()), octets.size());
    record.import_key = key;
}

void put_segments(std::string& out, const std::vector<std::uint32_t>& segments) {
    put_number(out, static_cast<std::uint16_t>(segments.size()));
    for (const std::uint32_t segment : segments)
        put_number(out, segment);
}

void take_segments(OctetReader& in, std::vector<std::uint32_t>& segments) {
    const auto count = in.number<std::uint16_t>();
    for (unsigned i = 0; i < count && in.ok(); ++i)
        segments.push_back(in.number<std::uint32_t>());
}

std::string encode_meta(const Record& record) {
    std::string out;
    switch (record.type) {
        case RecordType::imported:
            put_identity(out, record);
            break;
        case RecordType::message:
            put_identity(out, record);
            put_segments(out, record.also_in);
            break;
        case RecordType::copy:
            put_identity(out, record);
            put_segments(out, record.also_in);
            put_number(out, record.body.segment);
            put_number(out, record.body.offset);
            put_number(out, record.body_octets);
            put_number(out, record.owner_mailbox);
            put_number(out, record.owner_uid);
            put_number(out, record.from_mailbox);
            put_number(out, record.from_uid);
            put_number(out, record.from_modseq);
            put_segments(out, record.from_stated_in);
            break;
        case RecordType::remove:
            put_number(out, static_cast<std::uint32_t>(record.removals.size()));
            for (const Removal& removal : record.removals) {
                put_number(out, removal.uid);
                put_number(out, removal.segment);
            }
            break;
        case RecordType::mailbox:
            put_number(out, record.uid_validity);
            put_number(out, static_cast<std::uint16_t>(record.name.size()));
            out += record.name;
            put_number(out, static_cast<std::uint8_t>(record.keywords.size()));
            for (const std::string& keyword : record.keywords) {
                put_number(out, static_cast<std::uint8_t>(keyword.size()));
                out += keyword;
            }
            break;
        case RecordType::directory:
            put_number(out, static_cast<std::uint8_t>(record.directory.kind));
            put_number(out, record.directory.id);
            put_number(out, static_cast<std::uint16_t>(record.directory.key.size()));
            out += record.directory.key;
            put_number(out, static_cast<std::uint32_t>(record.directory.value.size()));
            out += record.directory.value;
            break;
        case RecordType::flags:
        case RecordType::table:
            break;
    }
    return out;
}

bool decode_meta(std::string_view meta, Record& record) {
    OctetReader in(meta);
    switch (record.type) {
        case RecordType::imported:
            take_identity(in, record);
            break;
        case RecordType::message:
            take_identity(in, record);
            take_segments(in, record.also_in);
            break;
        case RecordType::copy:
            take_identity(in, record);
            take_segments(in, record.also_in);
            record.body.segment = in.number<std::uint32_t>();
            record.body.offset = in.number<std::uint64_t>();
            record.body_octets = in.number<std::uint64_t>();
            record.owner_mailbox = in.number<std::uint64_t>();
            record.owner_uid = in.number<std::uint32_t>();
            record.from_mailbox = in.number<std::uint64_t>();
            record.from_uid = in.number<std::uint32_t>();
            record.from_modseq = in.number<std::uint64_t>();
            take_segments(in, record.from_stated_in);
            break;
        case RecordType::remove: {
            const auto count = in.number<std::uint32_t>();
            if (count > meta.size() / 8) return false;
            record.removals.resize(count);
            for (Removal& removal : record.removals) {
                removal.uid = in.number<std::uint32_t>();
                removal.segment = in.number<std::uint32_t>();
            }
            break;
        }
        case RecordType::mailbox: {
            record.uid_validity = in.number<std::uint32_t>();
            record.name = in.text(in.number<std::uint16_t>());
            if (record.name.size() > name_octets_max) return false;
            const auto count = in.number<std::uint8_t>();
            for (unsigned i = 0; i < count && in.ok(); ++i)
                record.keywords.emplace_back(in.text(in.number<std::uint8_t>()));
            break;
        }
        case RecordType::directory:
            record.directory.kind = static_cast<DirectoryKind>(in.number<std::uint8_t>());
            record.directory.id = in.number<std::uint64_t>();
            record.directory.key = in.text(in.number<std::uint16_t>());
            record.directory.value = in.text(in.number<std::uint32_t>());
            break;
        case RecordType::flags:
        case RecordType::table:
            break;
        default:
            return false;
    }
    return in.ok() && in.rest().empty();
}

Error corrupt(std::string_view what) {
    return {ErrorKind::corrupt, fmt::format("not a record: {}", what)};
}

}  // namespace

std::uint64_t record_octets(std::uint64_t meta_octets, std::uint64_t payload_octets) {
    const std::uint64_t octets = record_header_octets + meta_octets + payload_octets;
    return (octets + record_alignment - 1) / record_alignment * record_alignment;
}

ChecksumKey checksum_key(const Guid& store_id) {
    return checksum_of({reinterpret_cast<const char*>(store_id.bytes.data()), store_id.bytes.size()});
}

std::string encode_record(const Record& record, ChecksumKey key) {
    const std::string meta = encode_meta(record);
    std::string out;
    out.reserve(record_header_octets + meta.size());
    put_number(out, record_magic);
    put_number(out, static_cast<std::uint8_t>(record.type));
    put_number(out, std::uint8_t{0});  // codec: plain
    put_number(out, record.bits);
    put_number(out, static_cast<std::uint32_t>(meta.size()));
    put_number(out, record.uid);
    put_number(out, record.payload_octets);
    put_number(out, record.group_start);
    put_number(out, std::uint64_t{0});  // the checksum's place
    put_number(out, record.payload_checksum);
    put_number(out, record.mailbox);
    put_number(out, record.account);
    put_guid(out, record.guid);
    put_number(out, record.date_us);
    put_number(out, record.flags);
    put_number(out, record.modseq);
    put_number(out, std::uint64_t{0});  // reserved
    out += meta;
    std::string checksum;
    put_number(checksum, checksum_without_itself(out, key));
    out.replace(checksum_at, checksum.size(), checksum);
    return out;
}

std::optional<RecordSize> peek_record(std::string_view header) {
    OctetReader in(header.substr(0, record_header_octets));
    if (in.number<std::uint32_t>() != record_magic) return std::nullopt;
    in.text(4);
    RecordSize size;
    size.meta_octets = in.number<std::uint32_t>();
    in.text(4);
    size.payload_octets = in.number<std::uint64_t>();
    if (!in.ok() || header.size() < record_header_octets || size.meta_octets > meta_octets_max ||
        size.payload_octets > payload_octets_max)
        return std::nullopt;
    return size;
}

Result<RecordHead> decode_head(std::string_view octets, ChecksumKey key) {
    const auto size = peek_record(octets);
    if (!size) return corrupt("no header here");
    if (octets.size() < size->payload_offset()) return corrupt("cut short");
    octets = octets.substr(0, size->payload_offset());
    RecordHead head;
    head.size = *size;
    head.type = static_cast<RecordType>(octets[4]);
    const auto codec = static_cast<std::uint8_t>(octets[5]);
    OctetReader in(octets.substr(checksum_at));
    const auto checksum = in.number<std::uint64_t>();
    head.payload_checksum = in.number<std::uint64_t>();
    if (checksum != checksum_without_itself(octets, key)) return corrupt("its checksum does not match");
    if (codec != 0) return corrupt(fmt::format("codec {} is not known to this version", codec));
    return head;
}

Result<Record> decode_record(std::string_view octets, ChecksumKey key) {
    const auto head = decode_head(octets, key);
    if (!head) return head.error();
    octets = octets.substr(0, head->size.payload_offset());
    OctetReader in(octets);
    in.text(6);
    Record record;
    record.type = head->type;
    record.bits = in.number<std::uint16_t>();
    in.text(4);
    record.uid = in.number<std::uint32_t>();
    record.payload_octets = in.number<std::uint64_t>();
    record.group_start = in.number<std::uint64_t>();
    in.text(8);
    record.payload_checksum = in.number<std::uint64_t>();
    record.mailbox = in.number<std::uint64_t>();
    record.account = in.number<std::uint64_t>();
    record.guid = take_guid(in);
    record.date_us = in.number<std::int64_t>();
    record.flags = in.number<std::uint64_t>();
    record.modseq = in.number<std::uint64_t>();
    if (!decode_meta(octets.substr(record_header_octets), record))
        return corrupt(fmt::format("type {} is unknown or malformed", static_cast<int>(record.type)));
    return record;
}

std::string encode_segment_header(const SegmentHeader& header) {
    std::string out;
    put_number(out, segment_magic);
    put_number(out, format_version);
    put_number(out, header.number);
    put_number(out, header.created_us);
    put_guid(out, header.store_id);
    out.resize(segment_header_octets - 8, '\0');
    put_number(out, checksum_of(out));
    return out;
}

Result<SegmentHeader> decode_segment_header(std::string_view octets) {
    if (octets.size() < segment_header_octets)
        return Error{ErrorKind::corrupt, "the segment's header is cut short"};
    octets = octets.substr(0, segment_header_octets);
    OctetReader in(octets);
    if (in.number<std::uint64_t>() != segment_magic)
        return Error{ErrorKind::corrupt, "this is not a segment"};
    const auto version = in.number<std::uint32_t>();
    SegmentHeader header;
    header.number = in.number<std::uint32_t>();
    header.created_us = in.number<std::int64_t>();
    header.store_id = take_guid(in);
    OctetReader end(octets.substr(segment_header_octets - 8));
    if (end.number<std::uint64_t>() != checksum_of(octets.substr(0, segment_header_octets - 8)))
        return Error{ErrorKind::corrupt, "the checksum of the segment's header does not match"};
    if (version > format_version)
        return Error{ErrorKind::invalid,
                     fmt::format("the segment has format {}, and this version of Pier reads formats up "
                                 "to {}: use the newer Pier that wrote it",
                                 version, format_version)};
    return header;
}

std::string encode_footer(std::uint64_t table_offset, ChecksumKey key) {
    std::string out;
    put_number(out, footer_magic);
    put_number(out, table_offset);
    put_number(out, std::uint64_t{0});  // reserved
    put_number(out, checksum_of(out, key));
    return out;
}

std::optional<std::uint64_t> decode_footer(std::string_view octets, ChecksumKey key) {
    if (octets.size() != footer_octets) return std::nullopt;
    OctetReader in(octets);
    const auto magic = in.number<std::uint64_t>();
    const auto table_offset = in.number<std::uint64_t>();
    in.text(8);
    if (magic != footer_magic ||
        in.number<std::uint64_t>() != checksum_of(octets.substr(0, footer_octets - 8), key))
        return std::nullopt;
    return table_offset;
}

void append_table_entry(std::string& table, std::uint64_t offset, std::string_view header_and_meta) {
    put_number(table, offset);
    table += header_and_meta;
}

Result<std::optional<TableEntry>> next_table_entry(std::string_view& table) {
    if (table.empty()) return std::optional<TableEntry>();
    OctetReader in(table);
    TableEntry entry;
    entry.offset = in.number<std::uint64_t>();
    const auto size = peek_record(in.rest());
    if (!in.ok() || !size) return Error{ErrorKind::corrupt, "the segment's table is malformed"};
    entry.header_and_meta = in.text(size->payload_offset());
    if (!in.ok()) return Error{ErrorKind::corrupt, "the segment's table is cut short"};
    table = in.rest();
    return std::optional<TableEntry>(entry);
}

}  // namespace pier::store::log
