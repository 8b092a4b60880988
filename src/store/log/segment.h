// Segments as files: finding them, reading their records, and the table that ends a sealed one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "store/log/disk.h"
#include "store/log/record.h"

namespace pier::store::log {

// "log/00000001.seg"
std::string segment_name(std::uint32_t number);
std::optional<std::uint32_t> segment_number(const std::string& file_name);

// One segment's file, opened when it is first needed. Sessions hold it as long as they may still read from
// it, also after the cleaner has unlinked it. Any thread.
class Segment {
  public:
    Segment(Disk& disk, std::uint32_t number) : disk_(disk), number_(number) {}
    Segment(Disk& disk, std::uint32_t number, std::unique_ptr<File> file)
        : disk_(disk), number_(number), file_(std::move(file)) {}

    std::uint32_t number() const { return number_; }
    Result<File*> file() const;

  private:
    Disk& disk_;
    const std::uint32_t number_;
    mutable std::mutex mutex_;
    mutable std::unique_ptr<File> file_;
};
using SegmentPtr = std::shared_ptr<const Segment>;

// The segments there are. Any thread.
class Segments {
  public:
    void add(SegmentPtr segment);
    // Takes it out of the map; whoever holds it keeps it. Its file is opened first, so that it can still be
    // read.
    SegmentPtr take_out(std::uint32_t number);
    SegmentPtr find(std::uint32_t number) const;  // null if there is none
    bool contains(std::uint32_t number) const { return find(number) != nullptr; }
    std::vector<std::uint32_t> numbers() const;

  private:
    mutable std::mutex mutex_;
    std::map<std::uint32_t, SegmentPtr> segments_;
};

// A record read from a segment, with its place.
using OnRecord = std::function<Result<void>(const Record& record, Place place, std::uint64_t total_octets)>;

// If the file ends with a footer: where the table's record stands.
Result<std::optional<std::uint64_t>> sealed_at(const File& file, ChecksumKey key);

// Reads and checks the table of a sealed segment.
Result<std::string> read_table(const File& file, std::uint64_t table_offset, ChecksumKey key);

// The records that `table` lists, from `from` on.
Result<void> for_each_in_table(std::uint32_t number, std::string_view table, std::uint64_t from,
                               ChecksumKey key, const OnRecord& on_record);

// What a scan of an unsealed segment found.
struct Scan {
    std::uint64_t end = segment_header_octets;  // behind the last good record: a new one goes here
    std::uint64_t octets = 0;           // of the file; more than `end`: a torn tail, never acknowledged
    std::string table;                  // of all good records
    std::vector<std::string> problems;  // acknowledged octets that are damaged: told, and passed over
};

// Reads an unsealed segment record by record from its beginning; calls `on_record` for those from `from` on,
// whose payloads are checked too. Tail rule: something bad was acknowledged if it lies before `durable_to`
// (what the index knows was durable), or if a good record behind it belongs to a later group (its group_start
// lies behind the bad one); then it is damage and reading goes on. Otherwise it is a torn tail, and the end.
Result<Scan> scan_segment(const File& file, std::uint32_t number, std::uint64_t from,
                          std::uint64_t durable_to, ChecksumKey key, const OnRecord& on_record);

// Header and meta at `offset`; `corrupt` if they are not what they were.
Result<RecordHead> read_head(const File& file, std::uint64_t offset, Wait wait, ChecksumKey key);
// The same, decoded.
Result<Record> read_record(const File& file, std::uint64_t offset, Wait wait, ChecksumKey key,
                           RecordSize& size);

// Whether a payload is what its record says.
Result<void> check_payload(const File& file, std::uint64_t offset, std::uint64_t octets,
                           std::uint64_t checksum, Wait wait);

}  // namespace pier::store::log
