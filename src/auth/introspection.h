// An issuer's answer about a token (RFC 7662 §2.2). Pure; any thread.
#pragma once

#include <string_view>
#include <variant>

#include "auth/token_claims.h"

namespace pier::auth {

inline constexpr std::size_t introspection_octets_max = 64 << 10;

// The answer cannot be read: it says nothing of the token.
struct Unreadable {};

using IntrospectionVerdict = std::variant<TokenIdentity, TokenWrong, Unreadable>;
// iss, aud and exp need not be in the answer, which comes from the issuer itself; where they are they must be
// right.
IntrospectionVerdict read_introspection(std::string_view json, const TokenRules& rules, Time now);

}  // namespace pier::auth
