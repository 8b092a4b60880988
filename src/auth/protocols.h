// By which protocols people log in, as the log and the commands name them. Pure; any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pier::auth {

// Absent: all of them; empty: none.
using Protocols = std::optional<std::vector<std::string>>;

bool admits(const Protocols& protocols, std::string_view protocol);

// `invalid` with the name that is none.
Result<void> check_protocols(std::span<const std::string> names);

}  // namespace pier::auth
