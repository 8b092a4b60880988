// The methods for app passwords. `api` keeps a reference to the directory.
//
// clang-format off
//   account.app_password.add     account, name, [protocols […]], [networks […]], [until]
//                                until: "2027-01-31", the last day; networks: those from which it is taken
//                                -> the app password, with its "password", which is shown nowhere else
//   account.app_password.list    account         -> {"app_passwords": […]}
//   account.app_password.revoke  account, name   -> {}
// clang-format on
//
// An app password is {"name","protocols","networks","until","created","used"}; "until" and "used" may be "".
#pragma once

#include "admin/api.h"
#include "auth/directory.h"

namespace pier::admin {

void add_app_password_methods(Api& api, auth::Directory& directory);

}  // namespace pier::admin
