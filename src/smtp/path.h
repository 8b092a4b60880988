// Paths and ESMTP parameters: what stands behind MAIL FROM: and RCPT TO: (RFC 5321 §4.1.2, RFC 6531 §3.3).
// Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/envelope.h"

namespace pier::smtp {

inline constexpr std::size_t local_octets_max =
    255;  // liberal: RFC 5321 §4.5.3.1.1 says 64; bounce addresses have more
inline constexpr std::size_t domain_octets_max = 255;  // RFC 5321 §4.5.3.1.2

struct ParsedPath {
    Address address;
    bool has_utf8 =
        false;  // some octet is not ASCII: allowed only in an SMTPUTF8 transaction (RFC 6531 §3.3)
    std::string_view rest;  // what follows '>', a view into the argument: empty or parameters
};

// A path in angle brackets at the start of `text`; `<>` gives the null address. Absent if the syntax is
// wrong; a source route is passed over (RFC 5321 §4.1.1.3).
std::optional<ParsedPath> parse_path(std::string_view text);

// One address without angle brackets ("user@example.org", "\"a b\"@[192.0.2.1]", "postmaster"); absent if
// malformed.
std::optional<Address> parse_address(std::string_view text);

struct Parameter {
    std::string keyword;  // upper case
    std::optional<std::string_view> value;
};

// " SIZE=100 BODY=8BITMIME" (RFC 5321 §4.1.2, esmtp-param); absent if the syntax is wrong. The views point
// into `text`.
std::optional<std::vector<Parameter>> parse_parameters(std::string_view text);

// A decimal number without sign; absent if it is empty, has other characters or does not fit.
std::optional<std::uint64_t> parse_number(std::string_view digits);

// A host name or address literal as LHLO, EHLO and HELO bring it, fit to stand in a Received field.
bool is_host_name(std::string_view name);

}  // namespace pier::smtp
