// The files that the configuration names beside certificates: passwords, authorities, lists of users. Whether
// they are there and can be read is asked of the disk.
#pragma once

#include "main/config_file.h"

namespace pier::program {

// Adds what is wrong to loaded.problems: an error where the server would not start, else a warning that says
// what does not work until it is mended. As the user who asks; for check_machine().
void check_named_files(Loaded& loaded);

}  // namespace pier::program
