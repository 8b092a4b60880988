// What the server under load takes: CPU time and memory of its process tree, read from /proc; and this
// process.
#pragma once

#include <cstdint>

#include <sys/types.h>

namespace load {

// User and system time of a process, of all that descend from it, and of those children of theirs that ended
// and were waited for; in µs, in steps of a clock tick (10 ms). Throws Stop if the process is not there.
std::uint64_t process_tree_cpu_us(pid_t root);

// Memory of a process and all that descend from it: the sum of their proportional set sizes (proc(5),
// smaps_rollup), in which a page that several share counts once. Needs the server's user, or root.
std::uint64_t process_tree_pss_octets(pid_t root);

// CPU time of this process.
std::uint64_t own_cpu_us();

}  // namespace load
