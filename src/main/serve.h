// `pier serve`: everything built from the configuration, wired, run until a signal, and stopped in order.
#pragma once

#include <string>

#include "main/config.h"

namespace pier::program {

// `config_file` is read again on reload (SIGHUP, `pier reload`). Runs until SIGTERM, SIGINT or a failure of
// the store. Gives the program's exit code: 0 stopped as asked, 1 could not start or had to stop; the reason
// is in the log.
int serve(const Config& config, const std::string& config_file);

}  // namespace pier::program
