#include "auth/introspection.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

namespace pier::auth {

IntrospectionVerdict read_introspection(std::string_view text, const TokenRules& rules, Time now) {
    namespace json = boost::json;
    if (text.size() > introspection_octets_max) return Unreadable{};
    boost::system::error_code malformed;
    const json::value answer = json::parse(text, malformed);
    const json::value* active =
        !malformed && answer.is_object() ? answer.get_object().if_contains("active") : nullptr;
    if (active == nullptr || !active->is_bool()) return Unreadable{};
    if (!active->get_bool()) return TokenWrong{"the issuer says that the token is not active"};
    auto verdict = check_claims(answer.get_object(), rules, ClaimsNeeded::user, now);
    if (auto* identity = std::get_if<TokenIdentity>(&verdict)) return std::move(*identity);
    return std::get<TokenWrong>(verdict);
}

}  // namespace pier::auth
