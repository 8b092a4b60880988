// UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF. Pure; any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace pier {

// Octets of the valid character at the start of `text`; 0 if none is there.
std::size_t utf8_length(std::string_view text);

bool is_utf8(std::string_view text);

}  // namespace pier
