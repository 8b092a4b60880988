// Passwords of the worker process itself, with which it enters databases and directories: each in a file, so
// that none stands in the configuration.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace pier::backends {

// The file's first line without its line end. `key` names the key of the configuration that leads to it, for
// the error's text. Fails also if there is none, or if it is longer than 1024 octets. To be wiped.
Result<std::string> read_secret(const std::string& file, std::string_view key);

}  // namespace pier::backends
