// Accounts of a directory (LDAP, RFC 4511): an entry is found by a search, or at a name made from the
// login's; its password is checked by a bind as that entry, or by comparing an attribute.
#pragma once

#include <vector>

#include "backends/settings.h"
#include "backends/source.h"
#include "base/result.h"

namespace pier::backends {

// Each Source has a connection for searches and, where it binds, another one for that: whoever has logged in
// last never searches.
Result<MakeSource> open_ldap(const Settings& settings);

// What is wrong with settings.ldap; without connecting anywhere.
std::vector<SettingProblem> problems_of_ldap(const Settings& settings);

}  // namespace pier::backends
