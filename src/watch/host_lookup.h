// The addresses of a host, as this machine's own resolver knows them (hosts, DNS). What glibc offers cannot
// be broken off, so it runs on a thread of its own, which is left behind when its time is over. Any thread.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/network.h"
#include "base/result.h"

namespace pier::watch {

inline constexpr std::size_t host_addresses_max = 4;
inline constexpr int lookups_left_behind_max = 64;  // then no more are begun

// Of a name at most a few; of an address itself, at once. `not_found` says why there is none; `stopped`: the
// limit has passed, or `stop_fd` (-1: none) is readable.
Result<std::vector<IpAddress>> resolve(const std::string& host, std::chrono::milliseconds limit, int stop_fd);

}  // namespace pier::watch
