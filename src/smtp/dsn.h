// What a client asks for about reports (RFC 3461): the values of RET, ENVID, NOTIFY and ORCPT. Pure
// functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "smtp/envelope.h"

namespace pier::smtp {

inline constexpr std::size_t envelope_id_octets_max = 100;         // RFC 3461 §4.4
inline constexpr std::size_t original_recipient_octets_max = 500;  // RFC 3461 §4.2

// Printable ASCII in which '+' is followed by two upper-case hexadecimal digits, and '=' does not stand (§4);
// not empty.
bool is_xtext(std::string_view text);

std::optional<Return> parse_return(std::string_view value);        // FULL or HDRS, in any case
std::optional<std::uint8_t> parse_notify(std::string_view value);  // bits of smtp::notify; NEVER stands alone
bool is_envelope_id(std::string_view value);                       // xtext that means printable characters
// A type, a semicolon and an address in xtext. `utf8`: of a transaction with SMTPUTF8, where an
// address of the type utf-8 may be written as it is (RFC 6533 §3).
bool is_original_recipient(std::string_view value, bool utf8);

}  // namespace pier::smtp
