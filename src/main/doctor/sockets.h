// Who listens on a port, as /proc tells it (proc(5)).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/network.h"
#include "main/doctor/facts.h"

namespace pier::program::doctor {

struct ListeningSocket {
    IpAddress address;
    std::uint16_t port = 0;
    std::uint64_t inode = 0;
};

// The listening ones of /proc/net/tcp or tcp6. Pure.
std::vector<ListeningSocket> parse_proc_tcp(std::string_view text);
// Whether it takes what is sent to `address`, which may be unspecified: every one of the machine.
bool covers(const ListeningSocket& socket, const IpAddress& address);

// Reads both files; nothing where there is no /proc.
std::vector<ListeningSocket> listening_sockets();
// The process that has the socket open; absent: none that this user may look into.
std::optional<Holder> holder_of(std::uint64_t inode);

}  // namespace pier::program::doctor
