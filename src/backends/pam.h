// Back ends of the kind pam: Linux-PAM's modules say whether a password is right, the system's user database
// (NSS) who is a user: of a number from uid_min to uid_max.
//
// Modules may block, run programs and print: they do so in the worker's thread, and what they say goes to the
// log. A module that never returns is told as an outage, and holds its thread.
#pragma once

#include "backends/source.h"

namespace pier::backends {

Result<MakeSource> open_pam(const Settings& settings);

// What a result of pam_authenticate(3) or, once the password is right, of pam_acct_mgmt(3) means. `said`: by
// the modules.
Answer answer_to_password(int result, const std::string& said);
Answer answer_to_account(int result, const std::string& said);

}  // namespace pier::backends
