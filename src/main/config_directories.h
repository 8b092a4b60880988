// The keys of [[backend]] that only the kinds sql and ldap know, and what must hold between them. For
// config_backends.cc.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "backends/settings.h"
#include "main/config_file.h"

namespace pier::program {

std::vector<Field> sql_fields();
std::vector<Field> ldap_fields();

// Which of the two kinds has that key to itself; absent for other keys.
std::optional<backends::Kind> directory_that_knows(std::string_view key);

// Adds to loaded.problems what is wrong with a back end of one of these kinds.
void check_directory(Loaded& loaded, std::size_t index);

}  // namespace pier::program
