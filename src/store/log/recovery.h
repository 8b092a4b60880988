// Opening a store: which segments there are, what the index does not know yet, where the log goes on.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "store/log/appender.h"
#include "store/log/index.h"
#include "store/log/segment.h"

namespace pier::store::log {

// Octets of the log that have been read, and that have to be.
using OnProgress = std::function<void(std::uint64_t done, std::uint64_t all)>;

struct Recovered {
    Guid store_id;
    std::unique_ptr<Index> index;
    ActiveSegment active;
    std::uint64_t replayed_records = 0;
    bool rebuilt = false;
};

// Fills `segments` with those on the disk. The index in `index_folder` is made anew if `rebuild`, or if it is
// missing, damaged, of another store, ahead of the log, or older than a cleaning.
Result<Recovered> recover(Disk& disk, Segments& segments, const std::string& index_folder,
                          std::uint64_t index_cache_octets, const Clock& clock, bool rebuild,
                          const OnProgress& progress);

// The header of a segment's file.
Result<SegmentHeader> read_segment_header(const File& file);

// The numbers of all segment files, ascending.
Result<std::vector<std::uint32_t>> list_segments(Disk& disk);

}  // namespace pier::store::log
