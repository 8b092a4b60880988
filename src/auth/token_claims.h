// What a token says of itself, and what it must say to be good here: the claims of RFC 7519 §4.1, in a JSON
// Web Token (jwt.h) or in an issuer's answer about a token (introspection.h). Pure; any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <boost/json/object.hpp>

#include "base/time.h"

namespace pier::auth {

inline constexpr std::size_t token_octets_max = 16384;

struct TokenRules {
    std::string issuer;                    // what iss must be
    std::vector<std::string> audiences{};  // one of them must be in aud
    std::string claim = "email";           // the one that names the account
    std::string scope{};                   // a word that must be in scope; empty: none
    std::chrono::seconds leeway{60};       // by which the issuer's clock may differ from ours
};

// The token is good.
struct TokenIdentity {
    std::string user;  // as the claim has it
    Time expires{};
};
struct TokenWrong {
    std::string_view reason;  // for the log; a literal
};
using ClaimsVerdict = std::variant<TokenIdentity, TokenWrong>;

// A claim that is there must always be right; those that `needed` names must be there.
enum class ClaimsNeeded { all, user };
ClaimsVerdict check_claims(const boost::json::object& claims, const TokenRules& rules, ClaimsNeeded needed,
                           Time now);

}  // namespace pier::auth
