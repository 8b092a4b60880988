// JSON Web Tokens (RFC 7519) in their compact form: "header.payload.signature" (RFC 7515 §3.1), signed with
// RS256, PS256, ES256, ES384 (RFC 7518 §3) or EdDSA (RFC 8037). After RFC 8725: the algorithm must be one of
// the key's type, so "none" and HS256 with a public key as secret are no way in; a key comes from the
// issuer's set alone, never from the token. Pure; any thread; a check costs up to a millisecond.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "auth/jwk.h"
#include "auth/token_claims.h"

namespace pier::auth {

// The token is signed with a key that is not in the set.
struct UnknownKey {};

// The payload, if the signature is right.
std::variant<std::string, TokenWrong, UnknownKey> verify_jws(std::string_view token,
                                                             std::span<const Jwk> keys);

using JwtVerdict = std::variant<TokenIdentity, TokenWrong, UnknownKey>;
JwtVerdict check_jwt(std::string_view token, std::span<const Jwk> keys, const TokenRules& rules, Time now);

}  // namespace pier::auth
