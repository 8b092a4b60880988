// Which message of one listing is which of another, when the same maildrop was listed by POP3 and by IMAP: by
// their sizes and headers. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pier::migrate {

struct Fingerprint {
    std::uint64_t octets = 0;
    std::string head;  // head_hash(); empty: the header is not known, and nothing is the same
};

// SHA-256 of a header, whether the empty line behind it came with it or not.
std::string head_hash(std::string_view head);

// For each of `these` its place in `those`; absent if it has none. Size and header come first, then the
// header alone, for servers that count octets in two ways. Those that are the same in both are taken in their
// order.
std::vector<std::optional<std::size_t>> match(const std::vector<Fingerprint>& these,
                                              const std::vector<Fingerprint>& those);

}  // namespace pier::migrate
