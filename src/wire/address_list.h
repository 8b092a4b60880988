// Lists of addresses as the fields of a header have them (RFC 5322 §3.4, with the obsolete forms of §4.4 and
// UTF-8 of RFC 6532). Pure; any thread; time and memory grow with the text alone.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pier::wire {

struct HeaderAddress {
    std::string local;   // unquoted
    std::string domain;  // lower case
    bool operator==(const HeaderAddress&) const = default;
};

// The addresses in the body of an unfolded From, Sender, To …: those within groups too, without their display
// names and comments. Absent if the list is malformed, an address has no domain, or there are more than
// `addresses_max`.
std::optional<std::vector<HeaderAddress>> parse_address_list(std::string_view body,
                                                             std::size_t addresses_max);

}  // namespace pier::wire
