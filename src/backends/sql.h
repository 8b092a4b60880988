// Accounts of a PostgreSQL database: one query gives a name's row, whose columns say what is known of him.
//
//   password       as stored, with its scheme or Settings::default_scheme's; NULL: nobody can log in
//   name           his account's name, where it is another one
//   quota          octets; 0: none; NULL: left to the account's record
//   disabled       true: he may not log in
//   disabled_text  why, for the log
//
// Other columns are not looked at.
#pragma once

#include <string>
#include <vector>

#include "backends/settings.h"
#include "backends/source.h"
#include "base/result.h"

namespace pier::backends {

// Each Source has one connection, kept until it breaks.
Result<MakeSource> open_sql(const Settings& settings);

// What is wrong with settings.sql; without connecting anywhere.
std::vector<SettingProblem> problems_of_sql(const Settings& settings);

}  // namespace pier::backends
