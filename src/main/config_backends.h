// What the file says in [[backend]], and which of it fits together.
#pragma once

#include "main/config.h"
#include "main/config_file.h"

namespace pier::program {

// One of sections().
Section backend_section();

// Adds what is wrong across the values of the back ends to loaded.problems.
void check_backends(Loaded& loaded);

}  // namespace pier::program
