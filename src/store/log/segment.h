// Segments as files: finding them, reading their records, and the table that ends a sealed one.
#pragma once

#include <atomic>
#include <deque>
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

class OpenFiles;

// One segment's file, opened when it is needed. Sessions hold the segment as long as they may still read from
// it, also after the cleaner has unlinked it. Made by Segments. Any thread.
class Segment : public std::enable_shared_from_this<Segment> {
  public:
    Segment(Disk& disk, std::uint32_t number, std::shared_ptr<OpenFiles> open_files,
            std::shared_ptr<File> file)
        : disk_(disk), number_(number), open_files_(std::move(open_files)), file_(std::move(file)) {}

    std::uint32_t number() const { return number_; }
    // Open as long as somebody holds it.
    Result<std::shared_ptr<File>> file() const;
    // Which messages were verified stays known (verified.h) as long as this stays the same; absent: somebody
    // has changed the file, or is about to.
    std::optional<std::uint32_t> age(const File& file) const;
    // Around each change that the appender makes: it does not end the age.
    class OwnChange {
      public:
        OwnChange(const Segment& segment, const File& file);
        ~OwnChange();
        OwnChange(const OwnChange&) = delete;
        OwnChange& operator=(const OwnChange&) = delete;

      private:
        const Segment& segment_;
        const File& file_;
    };
    // Before its name goes: the file stays open as long as the segment lives.
    void keep_open() const;
    // False if it has been asked for since the last call. One that is kept open is not closed, and counts no
    // more.
    bool close_if_unused() const;

  private:
    Disk& disk_;
    const std::uint32_t number_;
    const std::shared_ptr<OpenFiles> open_files_;
    mutable std::mutex mutex_;
    mutable std::shared_ptr<File> file_;
    mutable bool used_ = true, kept_ = false;
    // The file's modification time after our last change of it, or when we first saw it; 0: not seen yet.
    mutable std::atomic<std::int64_t> changed_ns_ = 0;
    mutable std::atomic<std::uint32_t> age_ = 1;
};
using SegmentPtr = std::shared_ptr<const Segment>;

// The segments whose files are open. When there are too many, those that nobody has asked for lately are
// closed. Any thread.
class OpenFiles {
  public:
    explicit OpenFiles(std::size_t files_max) : files_max_(files_max) {}
    void add(std::weak_ptr<const Segment> segment);
    std::size_t count() const;

  private:
    const std::size_t files_max_;
    mutable std::mutex mutex_;
    std::deque<std::weak_ptr<const Segment>> open_;  // the next to be looked at first
};

// The segments there are. Any thread.
class Segments {
  public:
    // As many of their files are open at once, and those that are being read from.
    explicit Segments(std::size_t files_max) : open_files_(std::make_shared<OpenFiles>(files_max)) {}

    // Adds one. `file` if it is open already.
    SegmentPtr make(Disk& disk, std::uint32_t number, std::shared_ptr<File> file = nullptr);
    // Takes it out of the map; whoever holds it keeps it.
    void take_out(std::uint32_t number);
    SegmentPtr find(std::uint32_t number) const;  // null if there is none
    bool contains(std::uint32_t number) const { return find(number) != nullptr; }
    std::vector<std::uint32_t> numbers() const;
    std::size_t open_files() const { return open_files_->count(); }

  private:
    const std::shared_ptr<OpenFiles> open_files_;
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
