#include "migrate/import.h"

#include <condition_variable>
#include <mutex>

#include <fmt/format.h>

#include "migrate/dates.h"
#include "migrate/digest.h"
#include "wire/crlf.h"

namespace pier::migrate {
namespace {

constexpr std::size_t write_octets = 65536;  // gathered for one write to a spool
constexpr std::size_t warnings_max = 100;
constexpr std::size_t head_octets_max = 256 << 10;  // looked through for a date

// An error after which no other message can be stored either.
bool ends_the_run(ErrorKind kind) {
    return kind == ErrorKind::no_space || kind == ErrorKind::stopped;
}

// What the run and the sink's callbacks share. It outlives the run: a callback may come late only by a defect
// of the sink, but must then not write into what is gone.
struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    Report report;
    std::size_t under_way = 0;
    std::uint64_t under_way_octets = 0;
    std::size_t failures_listed_max = 0;

    void fail(std::string origin, const Error& error) {  // with the mutex held
        ++report.counts.failed;
        if (ends_the_run(error.kind) && !report.ended_by) report.ended_by = error;
        if (report.failures.size() < failures_listed_max)
            report.failures.push_back({std::move(origin), error.text});
    }

    void answered(const std::string& origin, std::uint64_t octets, const Result<Accepted>& result) {
        const std::lock_guard lock(mutex);
        --under_way;
        under_way_octets -= octets;
        if (result) {
            ++report.counts.imported;
            if (result->uidl_in_use && report.warnings.size() < warnings_max)
                report.warnings.push_back(
                    fmt::format("{}: its UIDL is in use in the mailbox; it got a new one", origin));
        } else if (result.error().kind == ErrorKind::exists) {
            ++report.counts.already_there;
        } else {
            fail(origin, result.error());
        }
        changed.notify_all();
    }
};

// The item's octets with CRLF line ends, into a new spool; and their beginning.
Result<std::unique_ptr<store::Spool>> spool_item(const Item& item, Sink& sink, std::string& head) {
    auto spool = sink.new_spool();
    if (!spool) return spool;
    wire::CrlfNormalizer lines;
    std::string octets;
    auto read = item.read([&](std::string_view block) -> Result<void> {
        lines.feed(block, octets);
        if (item.date_in_header && head.size() < head_octets_max) head += block.substr(0, head_octets_max);
        if (octets.size() < write_octets) return {};
        auto written = (*spool)->write(octets);
        octets.clear();
        return written;
    });
    if (!read) return read.error();
    lines.finish(octets);
    if (auto written = (*spool)->write(octets); !written) return written.error();
    if ((*spool)->octets() == 0) return Error(ErrorKind::invalid, "the message is empty");
    return spool;
}

void import_item(Item item, Sink& sink, const ImportLimits& limits, const std::shared_ptr<Shared>& shared) {
    std::string head;
    auto spool = spool_item(item, sink, head);
    if (!spool) {
        const std::lock_guard lock(shared->mutex);
        return shared->fail(std::move(item.origin), spool.error());
    }
    const std::uint64_t octets = (*spool)->octets();
    {
        std::unique_lock lock(shared->mutex);
        shared->changed.wait(lock, [&] {
            const bool fits = shared->under_way_octets + octets <= limits.under_way_octets_max;
            return shared->under_way == 0 || (shared->under_way < limits.under_way_max && fits);
        });
        ++shared->under_way;
        shared->under_way_octets += octets;
    }
    Message message;
    message.spool = std::move(*spool);
    message.mailbox = std::move(item.mailbox);
    message.flags = item.flags;
    message.internal_date =
        item.date_in_header ? date_of_header(head).value_or(item.internal_date) : item.internal_date;
    message.uidl = std::move(item.uidl);
    message.key = import_key(item.identity);
    sink.append(std::move(message),
                [shared, octets, origin = std::move(item.origin)](const Result<Accepted>& result) {
                    shared->answered(origin, octets, result);
                });
}

}  // namespace

Report run_import(Source& source, Sink& sink, const ImportOptions& options) {
    const auto shared = std::make_shared<Shared>();
    shared->report.counts.octets_total = source.octets_total();
    shared->failures_listed_max = options.limits.failures_listed_max;
    const auto ended = [&] {
        const std::lock_guard lock(shared->mutex);
        return shared->report.ended_by.has_value();
    };
    while (!ended()) {
        if (options.stop && options.stop()) {
            const std::lock_guard lock(shared->mutex);
            shared->report.stopped = true;
            break;
        }
        Result<std::optional<Item>> item = source.next();
        if (item && !*item) break;
        std::uint64_t octets = 0;
        if (item) {
            octets = (*item)->octets;
            import_item(std::move(**item), sink, options.limits, shared);
        }
        Progress now;
        {
            const std::lock_guard lock(shared->mutex);
            if (!item) shared->fail("", item.error());
            shared->report.counts.octets += octets;
            now = shared->report.counts;
        }
        if (options.progress) options.progress(now);
    }
    std::unique_lock lock(shared->mutex);
    shared->changed.wait(lock, [&] { return shared->under_way == 0; });
    Report report = std::move(shared->report);
    for (const std::string& warning : source.warnings())
        report.warnings.push_back(warning);
    return report;
}

}  // namespace pier::migrate
