// Who is at the other end, and where we listen: an IP address and port, or a Unix socket.
#pragma once

#include <cstdint>
#include <string>

#include <boost/asio/ip/address.hpp>

namespace pier::net {

struct Endpoint {
    boost::asio::ip::address address;  // unspecified for a Unix socket
    std::uint16_t port = 0;
    std::string unix_path;  // a Unix socket's; empty otherwise

    bool is_unix() const { return !unix_path.empty(); }
    bool is_loopback() const { return is_unix() || address.is_loopback(); }
    std::string text() const;  // "127.0.0.1:1110", "[::1]:995", "unix:/run/pier/lmtp"
};

// The address that counts for limits: IPv4 whole (also when mapped into IPv6), IPv6 by its /64, because a
// customer has a /64 for himself.
std::string network_of(const Endpoint& peer);

}  // namespace pier::net
