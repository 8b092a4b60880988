// The methods for second factors. `api` keeps a reference to the directory.
//
// clang-format off
//   account.second_factor.start    account        -> {"secret","uri"}, which are shown nowhere else
//   account.second_factor.confirm  account, code  -> {}; from here on it is in force
//   account.second_factor.remove   account        -> {}
// clang-format on
#pragma once

#include "admin/api.h"
#include "auth/directory.h"

namespace pier::admin {

void add_second_factor_methods(Api& api, auth::Directory& directory);

}  // namespace pier::admin
