// Domains that are not ASCII, as DNS knows them (RFC 5891): "grün.example" is "xn--grn-ioa.example". Pure;
// any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pier::dns {

// The name that is asked for, in lower case; an ASCII domain is itself. Absent: it is no name (is_name()).
std::optional<std::string> to_ascii(std::string_view domain);

}  // namespace pier::dns
