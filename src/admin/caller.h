// Who asks for something.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace pier::admin {

inline constexpr std::size_t for_user_octets_max = 64;

struct Caller {
    // The uid and pid of the process: by the kernel's word of the other end of a Unix socket (SO_PEERCRED,
    // unix(7)), or this one's. No user: the server does it by itself.
    std::optional<std::uint32_t> user{};
    std::int64_t process = 0;
    // For whom root does it, by root's own word: who has called sudo(8) or doas(1). Empty: nobody.
    std::string for_user{};

    bool operator==(const Caller&) const = default;
};

// Whom this process works for.
Caller this_process();
// The user's name for `for_user`, printable and no longer than it may be; empty if this process does not run
// as root, or nobody has called sudo(8) or doas(1).
std::string for_whom();

// The other end of a connected Unix socket; without a user if that cannot be found out.
Caller caller_at(int socket);

}  // namespace pier::admin
