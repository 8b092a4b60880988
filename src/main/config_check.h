// Does this configuration fit this machine? Certificates, folders, ports and users, looked at without
// changing anything. For `pier check`; it waits for the disk.
#pragma once

#include "main/config_file.h"

namespace pier::program {

// Adds to loaded.problems what would keep the server from starting, or from being of use.
void check_machine(Loaded& loaded);

}  // namespace pier::program
