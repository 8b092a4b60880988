// The PROXY protocol's header, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt): what a proxy in front of
// us says of its client before the client's own octets. Pure; any thread. Only for octets of a proxy that is
// trusted: anybody could write one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "net/endpoint.h"

namespace pier::net {

// Of both versions; a longer one is malformed. Version 1 has at most 107.
inline constexpr std::size_t proxy_header_octets_max = 4096;

struct ProxyHeader {
    std::size_t octets = 0;  // of the header itself: the client's come behind it
    // The proxy speaks for itself, as for a health check (LOCAL), or does not know its client (UNKNOWN): then
    // it is the client.
    bool has_client = false;
    Endpoint client, server;  // who the client is, and what it has connected to
    // "TLSv1.3/TLS_AES_128_GCM_SHA256", as far as it is told; empty: the client has come without TLS, or that
    // is not told.
    std::string tls;
};
struct ProxyHeaderIncomplete {};
struct ProxyHeaderMalformed {
    std::string text;
};
using ParsedProxyHeader = std::variant<ProxyHeader, ProxyHeaderIncomplete, ProxyHeaderMalformed>;

// `octets`: all that has come so far.
ParsedProxyHeader parse_proxy_header(std::string_view octets);

}  // namespace pier::net
