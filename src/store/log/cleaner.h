// The cleaner: gives the space of removed messages back. It states again, in the active segment, whatever of
// a sealed segment still matters, with its present state, and unlinks the segment. It goes through the
// appender like everything else, and what still matters is decided there, so no concurrent change can be
// undone by it. docs/disk-format.md has the rules.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>

#include "store/log/appender.h"
#include "store/log/listing.h"

namespace pier::store::log {

struct CleanerOptions {
    bool background = true;
    unsigned clean_below_percent = 50;
    std::chrono::seconds purge_after{0};
    std::uint64_t reserve_octets = 0;  // of the disk; less than a few times that is short
    Clock clock;
    ChecksumKey key = 0;
};

class Cleaner {
  public:
    Cleaner(Disk& disk, Segments& segments, Index& index, Appender& appender, ListingCache& cache,
            CleanerOptions options);
    ~Cleaner();  // ends after the record batch it is at

    // See LogStore::clean.
    Result<std::uint64_t> clean(bool all);
    std::uint64_t cleaned() const { return cleaned_; }

  private:
    void run();
    Result<std::uint64_t> clean_what_is_due(bool all);
    bool due(const SegmentState& state, bool all, std::optional<std::uint64_t> short_of) const;
    // The free octets of the disk, if they are few: then space is made of whatever is dead.
    std::optional<std::uint64_t> short_of_space() const;
    bool purge_is_due(const SegmentState& state) const;
    Result<bool> clean_segment(std::uint32_t number);
    Result<void> read_ahead(const File& file, const Record& record, Place place,
                            std::uint64_t payload_offset);
    bool stopping();

    Disk& disk_;
    Segments& segments_;
    Index& index_;
    Appender& appender_;
    ListingCache& cache_;
    const CleanerOptions options_;
    std::atomic<std::uint64_t> cleaned_ = 0;
    std::mutex working_;  // one at a time: a removal record may go only when what it removed is gone
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace pier::store::log
