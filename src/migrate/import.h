// The import itself: every message of a Source into a Sink, many under way at once so that the store can make
// them durable in groups. It may be stopped or killed anywhere and run again: what was imported is passed
// over, by its import key. Blocks; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "migrate/sink.h"
#include "migrate/source.h"

namespace pier::migrate {

struct Progress {
    std::uint64_t imported = 0;       // now
    std::uint64_t already_there = 0;  // by an earlier run
    std::uint64_t failed = 0;
    std::uint64_t octets = 0;  // read of the source, of octets_total
    std::uint64_t octets_total = 0;
};

struct ImportLimits {
    std::size_t under_way_max = 64;                    // messages, and
    std::uint64_t under_way_octets_max = 64ull << 20;  // octets, given to the sink and not yet answered
    std::size_t failures_listed_max = 1000;
};

struct ImportOptions {
    ImportLimits limits;
    std::function<void(const Progress&)> progress;  // after each message read; on the importing thread
    std::function<bool()> stop;                     // asked before each message: true ends the run early
};

struct Failure {
    std::string origin;  // which message; empty: `text` names it
    std::string text;
};

struct Report {
    Progress counts;
    std::vector<Failure> failures;      // the first ones; counts.failed has their number
    std::vector<std::string> warnings;  // what could not be kept as it was
    std::optional<Error> ended_by;      // the store is full or has stopped: put that right and run it again
    bool stopped = false;               // `stop` said so
};

// Returns when every message given to the sink has been answered. A broken message is reported and passed
// over.
Report run_import(Source& source, Sink& sink, const ImportOptions& options = {});

}  // namespace pier::migrate
