// What must hold between the values of a configuration, whatever the machine. load_config() has checked it
// already.
#pragma once

#include "main/config_file.h"

namespace pier::program {

// Adds to loaded.problems what is wrong. loaded.config has been finished.
void check_rules(Loaded& loaded);

}  // namespace pier::program
