// Sizes and durations as people write them: "64 MiB", "10m", "1h30m". Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pier::program {

// Octets. Units: B; KiB MiB GiB TiB (powers of 1,024; also K M G T); kB MB GB TB (powers of 1,000); none:
// octets. Units in any case. ErrorKind::invalid with a text that shows how to write it.
Result<std::uint64_t> parse_octets(std::string_view text);

// Seconds. Units: s m h d w or their names; several may follow one another; none: seconds.
Result<std::uint64_t> parse_duration(std::string_view text);

// The shortest text that parse_octets gives exactly back: "64 MiB", "1000 B".
std::string format_octets(std::uint64_t octets);

// The shortest text that parse_duration gives exactly back: "1h30m", "7d", "0s".
std::string format_duration(std::uint64_t seconds);

// For people, rounded: "12.4 MiB".
std::string about_octets(std::uint64_t octets);

}  // namespace pier::program
