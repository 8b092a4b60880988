// The loads: what one connection does from beginning to end.
#pragma once

#include <cstddef>

#include "load/run.h"
#include "load/task.h"

namespace load {

Task<> connection(Run& run, std::size_t slot);

}  // namespace load
