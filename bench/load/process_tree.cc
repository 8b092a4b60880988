#include "load/process_tree.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "load/stop.h"

namespace load {
namespace {

struct Process {
    pid_t parent = 0;
    std::uint64_t children_ticks = 0;
};

// Fields 4, 16 and 17 of /proc/PID/stat (proc(5)). The name before them may hold blanks and brackets.
std::optional<Process> process(const std::filesystem::path& folder) {
    std::ifstream file(folder / "stat");
    std::string text;
    if (!std::getline(file, text)) return std::nullopt;
    const auto name_end = text.rfind(')');
    if (name_end == std::string::npos) return std::nullopt;
    std::istringstream fields(text.substr(name_end + 1));
    std::string passed_over;
    Process found;
    fields >> passed_over >> found.parent;
    for (int field = 5; field < 16; ++field)
        fields >> passed_over;
    std::uint64_t user = 0, system = 0;
    fields >> user >> system;
    if (!fields) return std::nullopt;
    found.children_ticks = user + system;
    return found;
}

// Of all its threads, also those that have ended. 0 if the process has just ended: its parent has its time
// then.
std::uint64_t clock_us(pid_t pid) {
    clockid_t clock{};
    timespec time{};
    if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(time.tv_nsec) / 1000;
}

// `root` and all that descend from it.
std::map<pid_t, Process> tree(pid_t root) {
    std::map<pid_t, Process> processes;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const std::string name = entry.path().filename();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        if (const auto found = process(entry.path())) processes[std::stoi(name)] = *found;
    }
    if (!processes.contains(root))
        throw Stop("no process " + std::to_string(root) + ": has the server ended?");
    std::map<pid_t, Process> members;
    for (const auto& [pid, found] : processes) {
        pid_t ancestor = pid;
        while (ancestor != root && ancestor != 0) {
            const auto parent = processes.find(ancestor);
            ancestor = parent == processes.end() ? 0 : parent->second.parent;
        }
        if (ancestor == root) members[pid] = found;
    }
    return members;
}

// 0 if the process has just ended.
std::uint64_t pss_octets(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
    for (std::string word; file >> word;) {
        std::uint64_t kilobytes = 0;
        if (word == "Pss:" && file >> kilobytes) return kilobytes * 1024;
    }
    return 0;
}

}  // namespace

std::uint64_t process_tree_cpu_us(pid_t root) {
    std::uint64_t ticks = 0, us = 0;
    for (const auto& [pid, found] : tree(root)) {
        ticks += found.children_ticks;
        us += clock_us(pid);
    }
    return us + ticks * 1'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
}

std::uint64_t process_tree_pss_octets(pid_t root) {
    std::uint64_t octets = 0;
    for (const auto& [pid, found] : tree(root))
        octets += pss_octets(pid);
    if (octets == 0) throw Stop("cannot read the server's smaps_rollup: run as its user, or as root");
    return octets;
}

std::uint64_t own_cpu_us() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto us = [](const timeval& time) {
        return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_usec);
    };
    return us(usage.ru_utime) + us(usage.ru_stime);
}

}  // namespace load
