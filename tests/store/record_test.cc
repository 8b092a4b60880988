// The form of records, and that docs/disk-format.md shows it as it is.
#include <fstream>
#include <regex>

#include <gtest/gtest.h>
#include <xxhash.h>

#include "store/fault_disk.h"
#include "store/log/segment.h"

namespace pier::store::log {
namespace {

constexpr ChecksumKey key = 0x1234567890ABCDEF;

Record common_fields(RecordType type) {
    Record record;
    record.type = type;
    record.bits = 5;
    record.mailbox = 0x0102030405060708;
    record.uid = 0xFFFFFFFE;
    record.account = 1ull << 63;
    record.guid.bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    record.date_us = -12'345;
    record.flags = ~Flags{0};
    record.modseq = 1ull << 62;
    record.payload_octets = 1ull << 45;
    record.payload_checksum = 99;
    record.group_start = 1ull << 40;
    return record;
}

std::vector<Record> one_of_each() {
    std::vector<Record> all;
    for (int type = 1; type <= 8; ++type)
        all.push_back(common_fields(static_cast<RecordType>(type)));
    Record& message = all[0];
    message.uidl = std::string(70, 'u');
    message.import_key = ImportKey{1, 2, 3};
    message.also_in = {1, 0xFFFFFFFF};
    Record& copy = all[1];
    copy.body = {7, 64};
    copy.body_octets = 1ull << 40;
    copy.owner_mailbox = 3;
    copy.owner_uid = 4;
    copy.from_mailbox = 5;
    copy.from_uid = 6;
    copy.from_modseq = 8;
    copy.also_in = {2};
    copy.from_stated_in = {3, 4};
    all[3].removals = {{1, 2}, {0xFFFFFFFF, 0xFFFFFFFF}};
    Record& mailbox = all[4];
    mailbox.uid_validity = 17;
    mailbox.name = "Gr\xC3\xBCn/2026";
    mailbox.keywords = {"$Junk", "", std::string(255, 'k')};
    all[5].directory = {DirectoryKind::alias, std::string(1'024, 'k'), 1ull << 50, std::string(1 << 20, 'v')};
    all[6].import_key = ImportKey{9};
    return all;
}

TEST(RecordTest, EveryFieldOfEveryTypeComesBack) {
    for (const Record& record : one_of_each()) {
        SCOPED_TRACE(static_cast<int>(record.type));
        const std::string octets = encode_record(record, key);
        const auto size = peek_record(octets);
        ASSERT_TRUE(size);
        EXPECT_EQ(size->payload_offset(), octets.size());
        EXPECT_EQ(size->payload_octets, record.payload_octets);
        EXPECT_EQ(size->total() % record_alignment, 0u);
        const auto decoded = decode_record(octets + "whatever follows", key);
        ASSERT_TRUE(decoded) << decoded.error().text;
        EXPECT_TRUE(encode_record(*decoded, key) == octets);
        EXPECT_EQ(decoded->mailbox, record.mailbox);
        EXPECT_EQ(decoded->uid, record.uid);
        EXPECT_EQ(decoded->account, record.account);
        EXPECT_EQ(decoded->guid, record.guid);
        EXPECT_EQ(decoded->date_us, record.date_us);
        EXPECT_EQ(decoded->flags, record.flags);
        EXPECT_EQ(decoded->modseq, record.modseq);
        EXPECT_EQ(decoded->group_start, record.group_start);
        EXPECT_EQ(decoded->uidl, record.uidl);
        EXPECT_EQ(decoded->import_key, record.import_key);
        EXPECT_EQ(decoded->also_in, record.also_in);
        EXPECT_EQ(decoded->from_stated_in, record.from_stated_in);
        EXPECT_EQ(decoded->keywords, record.keywords);
        EXPECT_EQ(decoded->directory.value, record.directory.value);
        ASSERT_EQ(decoded->removals.size(), record.removals.size());
        for (std::size_t i = 0; i < record.removals.size(); ++i)
            EXPECT_EQ(decoded->removals[i].segment, record.removals[i].segment);
    }
}

TEST(RecordTest, AnyFlippedBitAndAnyCutIsNoticed) {
    for (const Record& record : one_of_each()) {
        if (record.type == RecordType::directory) continue;  // a MiB; the others have all that it has
        const std::string octets = encode_record(record, key);
        for (std::size_t at = 0; at < octets.size(); ++at) {
            for (int bit = 0; bit < 8; ++bit) {
                std::string damaged = octets;
                damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
                EXPECT_FALSE(decode_record(damaged, key)) << at << " " << bit;
            }
            EXPECT_FALSE(decode_record(octets.substr(0, at), key)) << at;
        }
        EXPECT_FALSE(decode_record(octets, key + 1)) << "another store's";
    }
}

TEST(RecordTest, HeadersAndFootersAreCheckedToTheBit) {
    SegmentHeader header;
    header.number = 0xFFFFFFFF;
    header.created_us = -1;
    header.store_id.bytes[15] = 9;
    const std::string octets = encode_segment_header(header);
    ASSERT_EQ(octets.size(), segment_header_octets);
    const auto decoded = decode_segment_header(octets);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->number, header.number);
    EXPECT_EQ(decoded->created_us, header.created_us);
    EXPECT_EQ(decoded->store_id, header.store_id);
    const std::string footer = encode_footer(1ull << 40, key);
    ASSERT_EQ(footer.size(), footer_octets);
    EXPECT_EQ(decode_footer(footer, key), 1ull << 40);
    EXPECT_FALSE(decode_footer(footer, key + 1)) << "a mail could end like a sealed segment";
    for (std::size_t at = 0; at < octets.size(); ++at) {
        std::string damaged = octets;
        damaged[at] = static_cast<char>(damaged[at] ^ 1);
        EXPECT_FALSE(decode_segment_header(damaged)) << at;
        EXPECT_FALSE(decode_segment_header(octets.substr(0, at))) << at;
        if (at >= footer.size()) continue;
        damaged = footer;
        damaged[at] = static_cast<char>(damaged[at] ^ 1);
        EXPECT_FALSE(decode_footer(damaged, key)) << at;
    }
}

TEST(RecordTest, ANewerFormatIsRefusedByName) {
    std::string octets = encode_segment_header({});
    octets[8] = 2;
    const std::uint64_t checksum = XXH3_64bits(octets.data(), octets.size() - 8);
    octets.replace(octets.size() - 8, 8, std::string(reinterpret_cast<const char*>(&checksum), 8));
    const auto refused = decode_segment_header(octets);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
    EXPECT_NE(refused.error().text.find("format 2"), std::string::npos) << refused.error().text;
}

TEST(RecordTest, APlaceIsOneNumber) {
    for (const Place place : {Place{1, 64}, Place{0xFFFFFFFF, (std::uint64_t{1} << 35) - 8}, Place{7, 0}})
        EXPECT_EQ(Place::unpack(place.packed()), place);
}

// The hexadecimal example of docs/disk-format.md.
std::string documented_segment() {
    std::ifstream page(PIER_SOURCE_DIR "/docs/disk-format.md");
    const std::regex row("[0-9a-f]{4}  ((?:[0-9a-f]{2} ){15}[0-9a-f]{2})  .*");
    std::string octets, line;
    std::smatch match;
    while (std::getline(page, line)) {
        if (!std::regex_match(line, match, row)) continue;
        const std::string digits = match[1];
        for (std::size_t i = 0; i < digits.size(); i += 3)
            octets += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
    }
    return octets;
}

TEST(RecordTest, TheDocumentedExampleIsWhatItSays) {
    const std::string segment = documented_segment();
    ASSERT_EQ(segment.size(), 0x2D0u);
    const auto header = decode_segment_header(segment);
    ASSERT_TRUE(header) << header.error().text;
    EXPECT_EQ(header->number, 1u);
    EXPECT_EQ(header->created_us, 1'790'000'000'000'000);
    test::FaultDisk disk;
    ASSERT_TRUE(disk.make_folder("log"));
    ASSERT_TRUE(disk.create(segment_name(1)));
    disk.overwrite(segment_name(1), 0, segment);
    const auto file = disk.open(segment_name(1));
    std::vector<Record> records;
    std::vector<std::uint64_t> offsets;
    const auto scan = scan_segment(**file, 1, 0, segment.size(), checksum_key(header->store_id),
                                   [&](const Record& record, Place place, std::uint64_t) -> Result<void> {
                                       records.push_back(record);
                                       offsets.push_back(place.offset);
                                       return {};
                                   });
    ASSERT_TRUE(scan);
    EXPECT_EQ(scan->problems, std::vector<std::string>{});
    EXPECT_EQ(scan->end, segment.size());
    EXPECT_EQ(offsets, (std::vector<std::uint64_t>{0x40, 0xC8, 0x148, 0x1E0, 0x250}));
    ASSERT_EQ(records.size(), 5u);
    EXPECT_EQ(records[0].directory.key, "ada");
    EXPECT_EQ(records[1].name, "INBOX");
    EXPECT_EQ(records[2].payload_octets, 35u);
    EXPECT_EQ(records[3].flags, flag::seen);
    ASSERT_EQ(records[4].removals.size(), 1u);
    // And it is what is written today.
    std::string again = segment.substr(0, segment_header_octets);
    EXPECT_EQ(encode_segment_header(*header), again);
    for (std::size_t i = 0; i < records.size(); ++i) {
        const std::string octets = encode_record(records[i], checksum_key(header->store_id));
        EXPECT_EQ(octets, segment.substr(offsets[i], octets.size())) << "record " << i;
    }
}

}  // namespace
}  // namespace pier::store::log
