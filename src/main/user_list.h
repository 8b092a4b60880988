// The accounts of a migration, as an administrator lists them. Files are read; one thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pier::program {

struct UserLine {
    std::string old_user, account, password;
};

// A line each: the old user, the account here, and the password there, which is the rest of the line. Without
// `passwords` the account may be missing too: it is named as the old user then. Empty lines and those that
// begin with # are passed over. `invalid` names the line that is wrong, and never shows what is in it.
Result<std::vector<UserLine>> parse_user_list(std::string_view text, bool passwords);
Result<std::vector<UserLine>> read_user_list(const std::string& file, bool passwords);

// A path in which %u stands for the user, %n for what is in front of its @, %d for what is behind it, %% for
// %.
std::string path_of_user(std::string_view path, std::string_view user);

}  // namespace pier::program
