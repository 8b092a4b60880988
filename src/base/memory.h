// Whether the process comes near the end of the memory that it may have: RLIMIT_AS (ulimit -v) or the limit
// of its control group (MemoryMax=). Whoever is about to begin something new asks, and turns it away while
// memory is short, so that what is under way can be finished.
//
// Beside that, memory is set aside: when an allocation fails all the same, it is given up, the allocation
// succeeds, and memory counts as short until as much could be set aside again.
#pragma once

#include <cstdint>

namespace pier::memory {

constexpr std::uint64_t reserve_octets = 32 << 20;  // set aside
// Memory is short when less than this is left, or less than a quarter of the limit if that is less.
constexpr std::uint64_t short_octets = 64 << 20;

// Once, before there are threads and before a sandbox. Without it nothing is set aside, and memory is never
// short.
void set_reserve_aside();

// Any thread; looked up at most a hundred times a second. The log is told when it begins and when it is over.
bool is_short();

// What is_short() goes by. For a process of `used` octets under `limit` (0: none).
constexpr bool is_short_of(std::uint64_t used, std::uint64_t limit) {
    const std::uint64_t margin = limit / 4 < short_octets ? limit / 4 : short_octets;
    return limit != 0 && used + margin > limit;
}

}  // namespace pier::memory
