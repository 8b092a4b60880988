// Base64 as SASL carries it (RFC 4648 §4), and as web tokens do (§5). Pure; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace pier::wire {

// With padding, without line ends. An empty text gives an empty text.
std::string base64_encode(std::string_view octets);

// Strict: only the alphabet, padding exactly where it belongs, no white space, no stray bits behind the last
// octet (else two texts would mean the same octets). Absent if `text` is anything else, or would decode to
// more than `octets_max`.
std::optional<std::string> base64_decode(std::string_view text, std::size_t octets_max);

// The other alphabet, without padding (RFC 7515 §2), and as strict.
std::optional<std::string> base64url_decode(std::string_view text, std::size_t octets_max);

}  // namespace pier::wire
