#include "main/process_figures.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

namespace pier::program {

std::optional<ProcessFigures> parse_process_stat(std::string_view line, std::uint64_t ticks_per_second,
                                                 std::uint64_t page_octets) {
    // The second field is the name in brackets, in which there may be blanks and brackets.
    const std::size_t name_end = line.rfind(')');
    if (name_end == std::string_view::npos || ticks_per_second == 0) return std::nullopt;
    line.remove_prefix(name_end + 1);
    constexpr std::size_t first = 3, last = 24;  // the fields' numbers in proc(5)
    std::array<std::uint64_t, last + 1> fields{};
    for (std::size_t field = first; field <= last; ++field) {
        line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ')));
        const std::string_view word = line.substr(0, line.find_first_of(" \n"));
        if (word.empty()) return std::nullopt;
        line.remove_prefix(word.size());
        // Some are words or below zero; those are none that is wanted.
        std::from_chars(word.data(), word.data() + word.size(), fields[field]);
    }
    const auto seconds = [&](std::uint64_t ticks) {
        return static_cast<double>(ticks) / static_cast<double>(ticks_per_second);
    };
    return ProcessFigures{.cpu_s = seconds(fields[14] + fields[15]),
                          .threads = fields[20],
                          .resident_octets = fields[24] * page_octets,
                          .virtual_octets = fields[23]};
}

ProcessFiles::ProcessFiles()
    : stat_(::open("/proc/self/stat", O_RDONLY | O_CLOEXEC)),
      descriptors_(::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}

ProcessFiles::~ProcessFiles() {
    for (const int fd : {stat_, descriptors_})
        if (fd >= 0) ::close(fd);
}

std::optional<ProcessFigures> ProcessFiles::figures() const {
    std::array<char, 2048> line;
    const ssize_t n = stat_ >= 0 ? ::pread(stat_, line.data(), line.size(), 0) : -1;
    const long ticks = ::sysconf(_SC_CLK_TCK), page = ::sysconf(_SC_PAGESIZE);
    if (n <= 0 || ticks <= 0 || page <= 0) return std::nullopt;
    return parse_process_stat({line.data(), static_cast<std::size_t>(n)}, static_cast<std::uint64_t>(ticks),
                              static_cast<std::uint64_t>(page));
}

std::optional<std::uint64_t> ProcessFiles::open_descriptors() const {
    if (descriptors_ < 0 || ::lseek(descriptors_, 0, SEEK_SET) != 0) return std::nullopt;
    std::uint64_t count = 0;
    std::vector<char> entries(32768);
    while (true) {
        const ssize_t n = ::getdents64(descriptors_, entries.data(), entries.size());
        if (n < 0) return std::nullopt;
        if (n == 0) break;
        for (ssize_t at = 0; at < n;) {
            const auto* entry = reinterpret_cast<const dirent64*>(entries.data() + at);
            if (entry->d_name[0] != '.') ++count;
            at += entry->d_reclen;
        }
    }
    return count;
}

}  // namespace pier::program
