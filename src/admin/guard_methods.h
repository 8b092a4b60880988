// The methods of the guard against guessing. `api` keeps a reference to it.
//
// clang-format off
//   guard.list                                   -> {"blocks": [{"what","address","account","until","reason"}],
//                                                    "addresses","accounts","logins": how many are counted,
//                                                    "connections_refused","logins_refused": since the start}
//   guard.block    network, [seconds], [reason]  -> the block; a day if no time is given
//   guard.unblock  network | account             -> {"ended": how many blocks}
//   guard.explain  address, [account]            -> what a connection and a login from there meet now
// clang-format on
#pragma once

#include "admin/api.h"
#include "auth/guard.h"

namespace pier::admin {

void add_guard_methods(Api& api, auth::Guard& guard);

}  // namespace pier::admin
