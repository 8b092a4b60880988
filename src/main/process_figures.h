// What the kernel counts of this process. Its files of /proc are opened once, before the sandbox, which would
// not let them be opened any more; reading them needs nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pier::program {

struct ProcessFigures {
    double cpu_s = 0;  // user and system
    std::uint64_t threads = 0;
    std::uint64_t resident_octets = 0, virtual_octets = 0;
};

// The line of /proc/PID/stat (proc(5)); absent if it is none. The process's name in it may hold anything.
std::optional<ProcessFigures> parse_process_stat(std::string_view line, std::uint64_t ticks_per_second,
                                                 std::uint64_t page_octets);

// One for the process; one thread at a time.
class ProcessFiles {
  public:
    ProcessFiles();
    ~ProcessFiles();
    ProcessFiles(const ProcessFiles&) = delete;
    ProcessFiles& operator=(const ProcessFiles&) = delete;

    std::optional<ProcessFigures> figures() const;
    std::optional<std::uint64_t> open_descriptors() const;

  private:
    int stat_ = -1;
    int descriptors_ = -1;
};

}  // namespace pier::program
