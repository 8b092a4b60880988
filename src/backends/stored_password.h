// Passwords as back ends hand them out (a field of a file, a column, an attribute), compared with what was
// typed.
#pragma once

#include <string>
#include <string_view>

#include "backends/source.h"

namespace pier::backends {

// Found{user} or WrongPassword. `stored` may have a scheme ("{SSHA}…") or not: then it is `default_scheme`'s
// (Settings). Outage for a stored password that this program can't read, naming its scheme but nothing else
// of it. Costs what its scheme costs. An empty `stored` matches nothing.
Answer compare(std::string_view stored, std::string_view default_scheme, std::string_view typed, User user);

}  // namespace pier::backends
