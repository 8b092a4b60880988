// What columns and attributes say, as text: yes or no, a number of octets. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pier::backends {

// "t", "true", "yes", "y", "on", "1" and their opposites, in any case (PostgreSQL's boolean; RFC 4517
// §3.3.3's TRUE and FALSE); empty: false. Absent for anything else.
std::optional<bool> parse_truth(std::string_view text);

// Octets in decimal digits; absent for anything else.
std::optional<std::uint64_t> parse_octet_count(std::string_view text);

}  // namespace pier::backends
