#include "backends/stored_password.h"

#include <fmt/format.h>

#include "auth/password.h"

namespace pier::backends {

Answer compare(std::string_view stored, std::string_view default_scheme, std::string_view typed, User user) {
    if (stored.empty()) return WrongPassword{};
    const bool has_scheme = stored.starts_with('{');
    std::string whole = has_scheme ? std::string(stored) : fmt::format("{{{}}}{}", default_scheme, stored);
    auto normal = auth::normal_password_scheme(whole);
    auth::wipe(whole);
    if (!normal) return Outage{fmt::format("a stored password cannot be used: {}", normal.error().text)};
    const bool matches = auth::password_matches(*normal, typed);
    auth::wipe(*normal);
    if (!matches) return WrongPassword{};
    return Found{std::move(user)};
}

}  // namespace pier::backends
