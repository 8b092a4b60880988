// App passwords: made by us for one program or device of an account's owner, so that his own password stays
// with him and one that is lost can be revoked alone. Values; any thread.
//
// One is 20 letters of an alphabet of 32 (100 bits), shown once as "abcd-efgh-ijkm-npqr-stuv". What is kept
// is its SHA-256: against so many bits no slow hash is needed, so that a check costs nothing.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/network.h"
#include "base/result.h"
#include "base/time.h"

namespace pier::auth {

inline constexpr std::size_t app_passwords_max = 50;  // of one account
inline constexpr std::size_t app_password_name_octets_max = 64;

struct AppPassword {
    std::string name;                    // the owner's word for it: "phone"
    std::string hash;                    // raw octets
    std::vector<std::string> protocols;  // "pop3"; empty: all
    Networks networks;                   // empty: from everywhere
    Time until{};                        // Time(): no end
    Time created{};
    Time used{};  // the last login, to the hour; Time(): none yet
};

// Where a login comes from.
struct LoginOrigin {
    std::string_view protocol;  // "pop3"
    IpAddress address;
};

std::string make_app_password();

// The hash of what was typed, if it has the form of an app password; case, spaces and hyphens do not matter.
std::optional<std::string> app_password_hash(std::string_view typed);

// The one with this hash; null: none. Takes the same time wherever they differ.
const AppPassword* find_app_password(std::span<const AppPassword> all, std::string_view hash);

// Why it may not be used there and now, for the log; empty: it may.
std::string_view app_password_refusal(const AppPassword& app_password, const LoginOrigin& origin, Time now);

// `invalid` with what is wrong: the name, protocols that there are not, too many networks.
Result<void> check_app_password(const AppPassword& app_password);

}  // namespace pier::auth
