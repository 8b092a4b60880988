// A group: the records that one sync makes durable. Operations put their records in, one behind the other;
// each is applied to the index's batch at once, so that the next one sees it; then all are written. Used by
// the appender's thread.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "store/log/apply.h"
#include "store/log/disk.h"
#include "store/log/record.h"
#include "store/log/spool.h"

namespace pier::store::log {

// The octets of a record: those in `text`, then those of the spool or of a part of a file.
struct Payload {
    std::string_view text;            // must live until the group is written
    const LogSpool* spool = nullptr;  // the same
    const File* file = nullptr;
    std::uint64_t file_offset = 0, file_octets = 0;
    // Known already: of what is in memory, and when copying forward, so that damage stays visible.
    std::optional<std::uint64_t> checksum;
};

class Group {
  public:
    struct Target {
        File& file;
        std::uint32_t segment = 0;
        std::uint64_t start = 0;  // where the group begins
        ChecksumKey key = 0;
    };
    Group(Target target, Applier& applier, Time now)
        : target_(target), applier_(applier), now_(now), end_(target.start) {}

    // ---- for operations ----

    Applier& state() { return applier_; }
    std::int64_t now_us() const { return now_.time_since_epoch().count(); }
    std::uint32_t segment() const { return target_.segment; }
    Guid next_guid();

    // Adds a record; its place, sizes and checksums are filled in. Large payloads are written at once, the
    // rest later.
    Place add(Record record, const Payload& payload = {});

    // The segment's file is about to go: the index knows nothing of it any more. Its records have been stated
    // again.
    void forget_segment(std::uint32_t number) {
        applier_.forget_segment(number);
        index_alone_ = true;
    }

    // ---- for the appender ----

    bool empty() const { return records_ == 0 && !index_alone_; }
    std::uint64_t end() const { return end_; }
    std::uint64_t records() const { return records_; }
    const std::string& table() const { return table_; }
    // Writes what add() has not. Not durable yet.
    Result<void> write();
    // What write() failed with was a payload that could not be read: the log's own file is as it should be.
    bool could_not_read() const { return could_not_read_; }

  private:
    struct Piece {
        std::string owned;
        std::string_view text;
    };

    void add_piece(std::uint64_t offset, Piece piece);
    std::uint64_t checksum_of(const Payload& payload);
    void copy_file(const File& file, std::uint64_t from, std::uint64_t octets, std::uint64_t to);

    const Target target_;
    Applier& applier_;
    const Time now_;
    std::uint64_t end_;
    std::uint64_t records_ = 0;
    bool index_alone_ = false;  // the index changes without a record
    std::string table_;
    std::deque<Piece> pieces_;
    // Runs of pieces without a gap: where each begins, and its pieces. A gap is a large payload that is
    // written already.
    struct Run {
        std::uint64_t offset = 0;
        std::vector<std::string_view> pieces;
        std::uint64_t end = 0;
    };
    std::vector<Run> runs_;
    void fail_reading(Error error) {
        failure_ = std::move(error);
        could_not_read_ = true;
    }

    std::optional<Error> failure_;
    bool could_not_read_ = false;
};

}  // namespace pier::store::log
