// From root to the user of the service, for good.
#pragma once

#include <string>

#include "base/result.h"

namespace pier::program {

// Makes the data folder if it is missing, and gives it to `user` (if we are root and a user is named). A root
// that stays root must own it: drop_privileges() leaves it no right to the files of others.
Result<void> prepare_data_folder(const std::string& folder, const std::string& user);

// Makes the folder of a Unix socket if it is missing (/run is empty after a start of the machine), for `user`
// as above.
Result<void> prepare_socket_folder(const std::string& socket_path, const std::string& user);

// If we are root and `user` is named: becomes that user with its groups, so that root cannot come back. In
// any case no capability is left and none can be had any more. Of the calling thread and those that it makes:
// so call it while it is the only one.
Result<void> drop_privileges(const std::string& user);

// Nobody reads the process's memory, with its keys and passwords: it leaves no core dump, and no process of
// the same user may look into it.
void forbid_dumps();

// As many open files as the hard limit allows.
void raise_open_files_limit();

}  // namespace pier::program
