// Small files that are read and replaced whole. Any thread; waits for the disk.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/result.h"

namespace pier {

// All of it; `invalid` if it has more octets than that, or is no file.
Result<std::string> read_whole_file(const std::string& file, std::size_t octets_max);

// Durable when it returns. Whoever reads the file meanwhile sees all of the old text or all of the new one
// (it is written as FILE.new, then renamed). A file that is there already keeps its owner; the mode is `mode`
// either way.
Result<void> replace_file(const std::string& file, std::string_view text, mode_t mode);

}  // namespace pier
