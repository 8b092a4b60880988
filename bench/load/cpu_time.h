// CPU time: of the server under load, read from /proc, and of this process.
#pragma once

#include <cstdint>

#include <sys/types.h>

namespace load {

// User and system time of a process, of all that descend from it, and of those children of theirs that ended
// and were waited for; in µs, in steps of a clock tick (10 ms). Throws Stop if the process is not there.
std::uint64_t process_tree_cpu_us(pid_t root);

// Of this process.
std::uint64_t own_cpu_us();

}  // namespace load
