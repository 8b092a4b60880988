// Series of measurements that outlive the server: one file of fixed size for each, in a folder of its own
// (docs/disk-format.md). How much of the past there is, and how fine, is in rings.h.
//
//   auto history = History::open(data_folder + "/history");
//   history->add("probe.mail.example.org.995.login_s", 0.042, now);
//   history->points("probe.…", now - hours(24), now, now, 500)
//
// A file is made whole and its space reserved, so a full disk stops new series and not those that are there.
// A slot is written with one write that no sector's border cuts; a power failure loses what the kernel had
// not written yet, at most the last half minute or so, and a slot that is torn all the same is found by its
// checksum and counts as empty. Nothing is waited for but the disk. Any thread, one at a time inside.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "watch/rings.h"

namespace pier::watch {

inline constexpr std::size_t history_header_octets = 4096;
inline constexpr std::size_t history_file_octets = history_header_octets + slots_in_all * slot_octets;
inline constexpr std::size_t series_name_octets_max = 80;

struct HistoryLimits {
    std::size_t series_max = 200;  // of 0.9 MiB each
};

class History {
  public:
    // The folder is made if it is missing. A file in it that is no series of ours, or is damaged at its head,
    // is left alone; add() to its series begins it anew.
    static Result<std::unique_ptr<History>> open(std::string folder, const HistoryLimits& limits = {});
    ~History();
    History(const History&) = delete;
    History& operator=(const History&) = delete;

    // The first value of a series makes its file. A name is 1 to series_name_octets_max octets that can be
    // printed, without blanks: `invalid` else. `busy`: there are series_max.
    Result<void> add(std::string_view series, double value, Time at);

    // As Rings::points; `not_found` if there is no such series.
    Result<std::vector<Point>> points(std::string_view series, Time from, Time to, Time now,
                                      std::size_t points_max) const;

    std::vector<std::string> series() const;  // by name
    Result<void> remove(std::string_view series);

  private:
    class File;
    History(std::string folder, const HistoryLimits& limits);
    Result<File*> file_for(std::string_view series);

    const std::string folder_;
    const HistoryLimits limits_;
    mutable std::mutex mutex_;
    std::map<std::string, std::unique_ptr<File>, std::less<>> files_;
};

// The name of a series' file, and back; empty: it is none. Pure.
std::string history_file_name(std::string_view series);
std::string history_series_of(std::string_view file_name);

}  // namespace pier::watch
