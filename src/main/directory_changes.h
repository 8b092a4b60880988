// Records what the management API changes of accounts' rights, aliases and domains, and for whom.
#pragma once

#include "admin/api.h"
#include "auth/directory.h"
#include "base/time.h"
#include "main/change_log.h"

namespace pier::program {

// What an account may, and by what it proves who it is; of passwords only their scheme. Pure.
Facts account_facts(const auth::Account& account);

// Around the methods of accounts, app passwords, second factors, aliases and domains, which `api` has: each
// that has changed something leaves a record. These run one at a time from here on, so that a record tells
// what its call has changed. A record that cannot be written is an error in the log: the change stands. All
// three outlive `api`.
void record_directory_changes(admin::Api& api, const auth::Directory& directory, ChangeLog& changes,
                              Clock clock);

}  // namespace pier::program
