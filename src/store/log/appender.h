// The appender: the one thread that writes to the log. It takes every operation that is pending, lets each
// put its records into one group, writes them, makes them durable with ONE sync, lets the index know, and
// tells the operations.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/metrics.h"
#include "base/time.h"
#include "store/log/group.h"
#include "store/log/segment.h"

namespace pier::store::log {

// Something that changes the store. On the appender's thread: build() once, then finish() once, with the
// failure that undid the group, if any. When build() is not reached (no space, stopped), finish() is called
// alone.
class Operation {
  public:
    virtual ~Operation() = default;
    virtual void build(Group& group) = 0;
    virtual void finish(const std::optional<Error>& failure) = 0;
    virtual std::uint64_t octets() const { return 0; }     // of payload, about
    virtual bool may_use_reserve() const { return true; }  // false: refused when the disk is nearly full
};

// Where the log goes on, as recovery has found it.
struct ActiveSegment {
    std::shared_ptr<const Segment> segment;
    std::shared_ptr<File> file;  // the segment's
    std::uint64_t end = 0;       // the next record goes here
    std::string table;           // of the records before it
};

struct AppenderOptions {
    std::uint64_t segment_octets_max = 0;
    std::uint64_t group_octets_max = 0;
    std::uint64_t reserve_octets = 0;
    Guid store_id;
    Clock clock;
    std::function<void(const Error&)> on_fatal;
};

class Appender {
  public:
    Appender(Disk& disk, Segments& segments, Index& index, ActiveSegment active, AppenderOptions options);
    ~Appender();  // finishes what was submitted

    void submit(std::unique_ptr<Operation> operation);  // any thread

    // Seals the active segment if it holds any record; the next group begins a new one. Waits.
    Result<void> seal();

    bool failed() const { return failed_; }
    std::uint64_t groups() const { return groups_; }
    std::uint64_t group_records() const { return group_records_; }
    const metrics::Histogram& sync_time() const { return sync_time_; }

  private:
    class SealOperation;

    void run();
    std::deque<std::unique_ptr<Operation>> take_pending();
    void run_group(std::deque<std::unique_ptr<Operation>> operations);
    std::optional<Error> build_and_write(std::deque<std::unique_ptr<Operation>>& operations);
    std::optional<Error> make_durable(Group& group);
    void flush_index_now_and_then();
    Error undo(Error cause);
    Error take_back(Error cause);
    Error stop_for_good(Error cause);
    bool disk_nearly_full();
    Result<void> seal_active();
    Result<void> begin_segment();

    Disk& disk_;
    Segments& segments_;
    Index& index_;
    Applier applier_;
    ActiveSegment active_;
    const AppenderOptions options_;
    const ChecksumKey key_;
    bool sealed_ = false;  // the active segment is: a new one must begin
    bool index_needs_resume_ = false;
    std::uint64_t unflushed_octets_ = 0;  // of the log, about, since the index was flushed

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::unique_ptr<Operation>> pending_;
    bool stopping_ = false;
    std::atomic<bool> failed_ = false;
    std::atomic<std::uint64_t> groups_ = 0, group_records_ = 0;
    metrics::Histogram sync_time_;
    std::thread thread_;
};

// Makes a segment's file with its header, durable, and its name too.
Result<std::unique_ptr<File>> create_segment(Disk& disk, const SegmentHeader& header);

}  // namespace pier::store::log
