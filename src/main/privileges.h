// From root to the user of the service, for good.
#pragma once

#include <string>

#include "base/result.h"

namespace pier::program {

// Makes the data folder if it is missing, and gives it to `user` (if we are root and a user is named).
Result<void> prepare_data_folder(const std::string& folder, const std::string& user);

// Makes the folder of a Unix socket if it is missing (/run is empty after a start of the machine), for `user`
// as above.
Result<void> prepare_socket_folder(const std::string& socket_path, const std::string& user);

// If we are root and `user` is named: becomes that user with its groups, so that root cannot come back.
// Otherwise nothing.
Result<void> drop_privileges(const std::string& user);

// As many open files as the hard limit allows.
void raise_open_files_limit();

}  // namespace pier::program
