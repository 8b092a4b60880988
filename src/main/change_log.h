// The record of what was changed of how a server is set up, by whom and when: a folder of the data folder, in
// bounded space. docs/disk-format.md has its form. Any thread; waits for the disk. One process at a time: the
// one that has the store open.
//
//   ChangeLog log(data_folder + "/changes");
//   log.append({.at = now, .what = "account", .subject = "ada", .by = "account.change", …});
//   log.compare({.at = now, .what = "configuration", .by = "reload"}, facts_of(config, log.key()));
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "main/change.h"

namespace pier::program {

struct Config;

// Where a server with that configuration has it.
std::string changes_folder(const Config& config);

class ChangeLog {
  public:
    explicit ChangeLog(std::string folder);  // made at the first change
    // More than this is never kept: of two files the older one goes.
    static constexpr std::uint64_t file_octets_max = 4ull << 20;

    // Durable when it returns.
    Result<void> append(const Change& change);

    // Compares with what was known of `change.what` before, and appends a change if it is another by now.
    // What was never known is noted without its differences. An end of the process between the two steps
    // makes the next comparison tell the same again.
    Result<void> compare(Change change, const Facts& now);

    // For secret_fact(): made once, and kept with what is known.
    Result<std::string> key();

    struct Kept {
        std::vector<Change> changes;   // the oldest first
        std::uint64_t unreadable = 0;  // lines that are none: of a write that was cut off, or damaged
    };
    Result<Kept> read() const;

  private:
    struct Known {
        std::string key;                                  // hexadecimal
        std::map<std::string, Facts, std::less<>> facts;  // by Change::what
    };
    Result<void> append_locked(const Change& change);
    Result<Known*> known();
    Result<void> keep(const Known& known) const;

    const std::string folder_;
    mutable std::mutex mutex_;
    std::optional<Known> known_;  // read when it is first needed
};

}  // namespace pier::program
