// The store's options out of the configuration; the same for the server and for a command that opens the
// store itself.
#pragma once

#include "main/config.h"
#include "store/log/log_store.h"

namespace pier::program {

store::LogStoreOptions store_options(const Config& config);

}  // namespace pier::program
