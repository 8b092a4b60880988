// The management method that brings deleted mail back.
//
//   mail.undelete   account, since_s (seconds since 1970), [dry_run]  -> {"messages","octets"}
#pragma once

#include "admin/api.h"
#include "auth/directory.h"
#include "maildrop/keeper.h"

namespace pier::program {

// What `api` is given is kept by reference and outlives it.
void add_maildrop_methods(admin::Api& api, const auth::Directory& directory, const maildrop::Keeper& keeper);

}  // namespace pier::program
