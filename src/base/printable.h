// Text that a stranger sent, on its way to a person: a terminal, a log, a bounce. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pier {

// Without control characters, which could act on a terminal; '?' for what is not UTF-8; cut when it is
// longer.
std::string printable(std::string_view text, std::size_t octets_max = 200);

}  // namespace pier
