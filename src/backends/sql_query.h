// A query of the configuration, as PostgreSQL prepares it: "… WHERE name = %u" becomes "… WHERE name = $1".
// The name is always sent beside the text, never within it. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backends/name_template.h"
#include "base/result.h"

namespace pier::backends {

struct SqlQuery {
    std::string text;
    std::vector<NamePart> parameters;  // of $1, $2 …; each part once
};

// `invalid` also for a query without the name in it, for a place within quotes (it would be compared with the
// text "$1"), for parameters that the query numbers itself, and for more than one statement.
Result<SqlQuery> parse_sql_query(std::string_view text);

}  // namespace pier::backends
