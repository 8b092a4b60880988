// The methods for accounts, aliases and domains. `api` keeps references to the directory and the store.
//
// clang-format off
//   account.add      name, [password | password_scheme], [quota_octets], [exclusive]  -> the account
//   account.show     name                                -> the account, with "mailboxes"
//   account.list                                         -> {"accounts": […]}
//   account.passwd   name, password | password_scheme    -> the account; "" as scheme: no password
//   account.change   name, [quota_octets], [exclusive], [app_passwords_only], [master], [allow […]],
//                    [deny […]], [protocols […]], [send_as […]]  -> the account
//                    the lists: networks from which it may log in, and may not; protocols by which it may, or "all";
//                    as whom else it may send mail: addresses, "@example.org", "any"
//   account.disable  name, [text]                        -> the account
//   account.enable   name                                -> the account
//   account.remove   name                                -> {}; with all its mail
//   alias.add        address, targets […]                -> the alias; replaces one that is there
//   alias.list                                           -> {"aliases": […]}
//   alias.remove     address                             -> {}
//   domain.add       name                                -> {"name": …}
//   domain.list                                          -> {"domains": […]}
//   domain.remove    name                                -> {}
// clang-format on
//
// An account is
// {"name","id","created","password","scram","disabled","disabled_text","exclusive","app_passwords_only",
// "second_factor","protocols","master","send_as","backend","quota_octets","allow","deny","messages","octets"}:
// "password" is only the name of its scheme
// ("ARGON2ID", "" for none), and "scram" whether keys are there.
#pragma once

#include "admin/api.h"
#include "auth/directory.h"
#include "store/store.h"

namespace pier::admin {

void add_directory_methods(Api& api, auth::Directory& directory, store::Store& store);

}  // namespace pier::admin
