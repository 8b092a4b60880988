#include "auth/token_claims.h"

#include <algorithm>
#include <cmath>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "wire/sasl_limits.h"

namespace pier::auth {
namespace {

namespace json = boost::json;

// RFC 7519 §2's NumericDate: seconds since 1970, perhaps with a fraction. Absent for anything else.
std::optional<Time> time_of(const json::value& value) {
    if (!value.is_number()) return std::nullopt;
    const double seconds = value.to_number<double>();
    constexpr double seconds_max = 253402300800;  // the year 10000
    if (!(seconds >= 0 && seconds < seconds_max)) return std::nullopt;
    return Time(std::chrono::microseconds(static_cast<std::int64_t>(std::floor(seconds)) * 1'000'000));
}

bool is_text(const json::value& value, std::string_view text) {
    return value.is_string() && std::string_view(value.get_string()) == text;
}

// RFC 7519 §4.1.3: one text, or several.
bool names_one_of(const json::value& value, const std::vector<std::string>& wanted) {
    const auto is_wanted = [&](const json::value& each) {
        return std::any_of(wanted.begin(), wanted.end(),
                           [&](const std::string& text) { return is_text(each, text); });
    };
    if (!value.is_array()) return is_wanted(value);
    return std::any_of(value.get_array().begin(), value.get_array().end(), is_wanted);
}

// RFC 8693 §4.2: words with spaces between them; liberal: some issuers have a list of them.
bool holds_word(const json::value& value, std::string_view word) {
    if (value.is_array())
        return std::any_of(value.get_array().begin(), value.get_array().end(),
                           [&](const json::value& each) { return is_text(each, word); });
    if (!value.is_string()) return false;
    std::string_view rest = value.get_string();
    while (!rest.empty()) {
        const std::string_view next = rest.substr(0, rest.find(' '));
        if (next == word) return true;
        rest.remove_prefix(std::min(rest.size(), next.size() + 1));
    }
    return false;
}

std::string_view wrong_time(const json::object& claims, const TokenRules& rules, ClaimsNeeded needed,
                            Time now, Time& expires) {
    const json::value* end = claims.if_contains("exp");
    if (end == nullptr && needed == ClaimsNeeded::all) return "the token does not say when it expires";
    expires = Time::max();
    if (end != nullptr) {
        const auto time = time_of(*end);
        if (!time) return "the token's exp is no time";
        expires = *time + rules.leeway;
        if (now >= expires) return "the token has expired";
    }
    if (const json::value* begin = claims.if_contains("nbf")) {
        const auto time = time_of(*begin);
        if (!time) return "the token's nbf is no time";
        if (now + rules.leeway < *time) return "the token is not valid yet";
    }
    return {};
}

std::string_view wrong_origin(const json::object& claims, const TokenRules& rules, ClaimsNeeded needed) {
    const bool all = needed == ClaimsNeeded::all;
    const json::value* issuer = claims.if_contains("iss");
    if (issuer == nullptr ? all : !is_text(*issuer, rules.issuer)) return "the token is of another issuer";
    const json::value* audience = claims.if_contains("aud");
    if (audience == nullptr ? all : !names_one_of(*audience, rules.audiences))
        return "the token is for another audience";
    if (rules.scope.empty()) return {};
    // liberal: Microsoft calls it scp.
    const json::value* scope = claims.if_contains("scope");
    if (scope == nullptr) scope = claims.if_contains("scp");
    if (scope == nullptr || !holds_word(*scope, rules.scope)) return "the token lacks the scope";
    return {};
}

}  // namespace

ClaimsVerdict check_claims(const json::object& claims, const TokenRules& rules, ClaimsNeeded needed,
                           Time now) {
    Time expires{};
    if (const auto why = wrong_time(claims, rules, needed, now, expires); !why.empty())
        return TokenWrong{why};
    if (const auto why = wrong_origin(claims, rules, needed); !why.empty()) return TokenWrong{why};
    const json::value* user = claims.if_contains(rules.claim);
    if (user == nullptr || !user->is_string() || user->get_string().empty())
        return TokenWrong{"the token lacks the claim that names the account"};
    if (user->get_string().size() > wire::sasl_user_octets_max)
        return TokenWrong{"the token's user name is too long"};
    // Attack: at some issuers anybody may write any address into his profile.
    const json::value* verified = claims.if_contains("email_verified");
    const bool unverified =
        verified != nullptr && !(verified->is_bool() && verified->get_bool()) && !is_text(*verified, "true");
    if (rules.claim == "email" && unverified)
        return TokenWrong{"the issuer has not verified that the address is the user's"};
    return TokenIdentity{std::string(user->get_string()), expires};
}

}  // namespace pier::auth
