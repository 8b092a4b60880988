// The section [submission] of the configuration, as config.cc's table has the others.
#pragma once

#include "main/config.h"

namespace pier::program {

Section submission_section();

}  // namespace pier::program
