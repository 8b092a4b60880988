// Names within LDAP's texts: a filter and a distinguished name, each with its own escapes. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace pier::backends {

// A value within a filter (RFC 4515 §3): NUL ( ) * \ and whatever is not ASCII become \XX.
std::string escape_filter_value(std::string_view value);

// A value within a distinguished name (RFC 4514 §2.4).
std::string escape_dn_value(std::string_view value);

// Whether a filter of the configuration is in parentheses that all have their other half. Only that: what
// else may be wrong with it, libldap says at the first search.
bool filter_is_closed(std::string_view filter);

}  // namespace pier::backends
