// The processes of the back ends, and what the management tells of them.
#pragma once

#include <vector>

#include <boost/json/array.hpp>

#include "admin/api.h"
#include "backends/chain.h"
#include "base/result.h"
#include "main/config.h"

namespace pier::program {

// One for each of config.backends, in their order: the server's ends of the sockets. Before the server binds
// its ports, has threads, and enters its sandbox. Each gives up root for config.server.user, if it need not
// keep it.
Result<std::vector<int>> start_back_ends(const Config& config);

// The process that asks the issuer of tokens, likewise; -1: no tokens are taken.
Result<int> start_token_issuer(const Config& config);

//   backend.list                  -> {"backends": […]}
//   account.forget  [name]        -> {}; what the back ends have said of an account, or of all
// Without a chain there are none, and nothing is remembered.
void add_backend_methods(admin::Api& api, backends::Chain* chain);

// [{"name","kind","worker","pid","requests","outages","restarts","waiting"}]
boost::json::array describe(const backends::Chain& chain);

}  // namespace pier::program
