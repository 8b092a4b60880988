#include "auth/protocols.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace pier::auth {
namespace {

constexpr std::array<std::string_view, 2> known{"pop3", "submission"};

}  // namespace

bool admits(const Protocols& protocols, std::string_view protocol) {
    return !protocols || std::ranges::find(*protocols, protocol) != protocols->end();
}

Result<void> check_protocols(std::span<const std::string> names) {
    for (const std::string& name : names)
        if (std::ranges::find(known, name) == known.end())
            return Error{ErrorKind::invalid, fmt::format("there are no logins by \"{}\"; there is: {}", name,
                                                         fmt::join(known, ", "))};
    return {};
}

}  // namespace pier::auth
