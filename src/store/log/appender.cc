#include "store/log/appender.h"

#include <algorithm>
#include <future>
#include <new>

#include <fmt/format.h>

#include "store/log/checksum.h"

namespace pier::store::log {
namespace {

// As much of the log's end, at most, a start reads again after a crash.
constexpr std::uint64_t unflushed_octets_max = 64 << 20;

}  // namespace

Result<std::unique_ptr<File>> create_segment(Disk& disk, const SegmentHeader& header) {
    const std::string name = segment_name(header.number);
    auto file = disk.create(name);
    if (!file) return file;
    const std::string octets = encode_segment_header(header);
    const std::string_view piece = octets;
    auto done = (*file)->write(0, {&piece, 1});
    if (done) done = (*file)->sync();
    if (done) done = disk.sync_folder("log");
    if (!done) {
        // Half a segment would be in the way of the next try.
        file->reset();
        static_cast<void>(disk.remove(name));
        return done.error();
    }
    return file;
}

class Appender::SealOperation : public Operation {
  public:
    explicit SealOperation(std::promise<std::optional<Error>>& told) : told_(told) {}
    void build(Group&) override {}
    void finish(const std::optional<Error>& failure) override { told_.set_value(failure); }

  private:
    std::promise<std::optional<Error>>& told_;
};

Appender::Appender(Disk& disk, Segments& segments, Index& index, ActiveSegment active,
                   AppenderOptions options)
    : disk_(disk),
      segments_(segments),
      index_(index),
      applier_(index),
      active_(std::move(active)),
      options_(std::move(options)),
      key_(checksum_key(options_.store_id)),
      thread_([this] { run(); }) {}

Appender::~Appender() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void Appender::submit(std::unique_ptr<Operation> operation) {
    {
        std::lock_guard lock(mutex_);
        pending_.push_back(std::move(operation));
    }
    wake_.notify_one();
}

Result<void> Appender::seal() {
    std::promise<std::optional<Error>> told;
    auto answer = told.get_future();
    submit(std::make_unique<SealOperation>(told));
    if (const auto failure = answer.get()) return *failure;
    return {};
}

void Appender::run() {
    while (true) {
        auto operations = take_pending();
        if (operations.empty()) return;
        run_group(std::move(operations));
    }
}

std::deque<std::unique_ptr<Operation>> Appender::take_pending() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !pending_.empty(); });
    std::deque<std::unique_ptr<Operation>> taken;
    std::uint64_t octets = 0;
    while (!pending_.empty()) {
        const bool seals = dynamic_cast<SealOperation*>(pending_.front().get()) != nullptr;
        // A seal stands alone: what came before it belongs into the old segment.
        if (!taken.empty() && (seals || octets + pending_.front()->octets() > options_.group_octets_max))
            break;
        octets += pending_.front()->octets();
        taken.push_back(std::move(pending_.front()));
        pending_.pop_front();
        if (seals) break;
    }
    return taken;
}

void Appender::run_group(std::deque<std::unique_ptr<Operation>> operations) {
    if (failed_) {
        const Error stopped{ErrorKind::stopped,
                            "the store has stopped after a failure of its disk; see the log"};
        for (const auto& operation : operations)
            operation->finish(stopped);
        return;
    }
    if (dynamic_cast<SealOperation*>(operations.front().get()) != nullptr) {
        std::optional<Error> failure;
        if (active_.end > segment_header_octets && !sealed_)
            if (auto sealed = seal_active(); !sealed) failure = undo(sealed.error());
        operations.front()->finish(failure);
        return;
    }
    if (disk_nearly_full()) {
        const Error full{ErrorKind::no_space, "the disk is nearly full: no new messages until space is made"};
        std::erase_if(operations, [&](const auto& operation) {
            if (operation->may_use_reserve()) return false;
            operation->finish(full);
            return true;
        });
    }
    std::optional<Error> failure;
    try {
        failure = build_and_write(operations);
    } catch (const std::bad_alloc&) {
        failure = take_back({ErrorKind::busy, "no memory to write a group of records"});
    }
    for (const auto& operation : operations)
        operation->finish(failure);
}

std::optional<Error> Appender::build_and_write(std::deque<std::unique_ptr<Operation>>& operations) {
    const bool full = active_.end + active_.table.size() >= options_.segment_octets_max ||
                      active_.table.size() >= options_.segment_octets_max / 8;
    if (full && !sealed_)
        if (auto sealed = seal_active(); !sealed) return undo(sealed.error());
    if (sealed_)
        if (auto begun = begin_segment(); !begun) return undo(begun.error());

    Group group({*active_.file, active_.segment->number(), active_.end, key_}, applier_, options_.clock());
    for (const auto& operation : operations)
        operation->build(group);
    // Operations that could not look into the index have decided on nothing: "not there" may be wrong.
    if (auto failure = applier_.failure()) return take_back(*std::move(failure));
    if (group.empty()) return std::nullopt;
    // Behind make_durable() nothing may fail any more, not even for want of memory.
    if (const auto octets = active_.table.size() + group.table().size(); octets > active_.table.capacity())
        active_.table.reserve(octets + octets / 2);
    if (auto failure = make_durable(group)) return failure;
    unflushed_octets_ += group.end() - active_.end;
    active_.end = group.end();
    active_.table += group.table();
    groups_ += group.records() > 0 ? 1 : 0;
    group_records_ += group.records();
    flush_index_now_and_then();
    return std::nullopt;
}

void Appender::flush_index_now_and_then() {
    if (unflushed_octets_ < unflushed_octets_max) return;
    unflushed_octets_ = 0;
    // A failure shows at the next change of the index.
    static_cast<void>(index_.flush(Wait::no_wait));
}

std::optional<Error> Appender::make_durable(Group& group) {
    const Segment::OwnChange change(*active_.segment, *active_.file);
    if (auto written = group.write(); !written)
        return group.could_not_read() ? take_back(written.error()) : undo(written.error());
    if (group.records() > 0) {
        const metrics::Stopwatch stopwatch(&sync_time_);
        if (auto synced = active_.file->sync(); !synced) return stop_for_good(synced.error());
    }
    if (index_needs_resume_ && !index_.resume())
        return undo({ErrorKind::no_space, "the index has no space on its disk"});
    index_needs_resume_ = false;
    if (auto committed = applier_.commit({active_.segment->number(), group.end()}); !committed) {
        // Nobody has been told yet, so the group can still be taken back.
        index_needs_resume_ = true;
        return undo(committed.error());
    }
    return std::nullopt;
}

// A write failed. For want of space, memory or descriptors the group is taken back and the store goes on;
// anything else ends it.
Error Appender::undo(Error cause) {
    if (cause.kind != ErrorKind::no_space && cause.kind != ErrorKind::busy)
        return stop_for_good(std::move(cause));
    return take_back(std::move(cause));
}

// Takes a group that nobody was told of out of the log again, durably: what was refused must not come back
// when the power fails.
Error Appender::take_back(Error cause) {
    applier_.clear();
    if (sealed_) return cause;
    const Segment::OwnChange change(*active_.segment, *active_.file);
    if (auto shortened = active_.file->truncate(active_.end); !shortened)
        return stop_for_good(shortened.error());
    if (auto synced = active_.file->sync(); !synced) return stop_for_good(synced.error());
    return cause;
}

Error Appender::stop_for_good(Error cause) {
    applier_.clear();
    if (!failed_.exchange(true) && options_.on_fatal) options_.on_fatal(cause);
    cause.kind = ErrorKind::stopped;
    return cause;
}

bool Appender::disk_nearly_full() {
    if (options_.reserve_octets == 0) return false;
    const auto free = disk_.free_octets();
    return free && *free < options_.reserve_octets;
}

// Ends the active segment with the table of its contents. Durable when it returns.
Result<void> Appender::seal_active() {
    Record record;
    record.type = RecordType::table;
    record.group_start = active_.end;
    record.payload_octets = active_.table.size();
    record.payload_checksum = checksum_of(active_.table);
    const std::string head = encode_record(record, key_);
    const std::string footer = encode_footer(active_.end, key_);
    const std::string filling(record_octets(head.size() - record_header_octets, active_.table.size()) -
                                  head.size() - active_.table.size(),
                              '\0');
    const std::string_view pieces[] = {head, active_.table, filling, footer};
    const Segment::OwnChange change(*active_.segment, *active_.file);
    if (auto written = active_.file->write(active_.end, pieces); !written) return written;
    if (auto synced = active_.file->sync(); !synced) return Error{ErrorKind::io, synced.error().text};
    sealed_ = true;
    return {};
}

Result<void> Appender::begin_segment() {
    SegmentHeader header;
    header.number = active_.segment->number() + 1;
    header.created_us = options_.clock().time_since_epoch().count();
    header.store_id = options_.store_id;
    auto file = create_segment(disk_, header);
    if (!file) return file.error();
    active_.file = std::move(*file);
    active_.segment = segments_.make(disk_, header.number, active_.file);
    active_.end = segment_header_octets;
    active_.table = std::string();
    sealed_ = false;
    return {};
}

}  // namespace pier::store::log
