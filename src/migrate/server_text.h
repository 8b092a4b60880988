// Text that a strange server sent, on its way to a person. Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pier::migrate {

// Without control characters, which could act on a terminal; '?' for what is not UTF-8; cut when it is
// longer.
std::string shown(std::string_view text, std::size_t octets_max = 200);

// Whether a user name or password may stand in a command line: no CR, LF or NUL, which would begin another
// command.
bool fits_a_line(std::string_view text);

}  // namespace pier::migrate
