// The way from a connection into a protocol session, the same for every protocol.
#pragma once

#include <string_view>

#include "net/connection.h"

namespace pier::serve {

// How a connection whose read or write failed has ended, as the log says it.
inline std::string_view end_of(const Error& error) {
    return error.kind == ErrorKind::busy ? "timeout" : "lost";
}

// Waits for input and tells the session: on_bytes(), on_eof() or on_shutdown(). Gives how the connection ends
// if the session now ends: "quit", "closed", "shutdown", "timeout" or "lost".
template <class Session>
net::Task<std::string_view> feed(net::Connection& connection, Session& session) {
    auto octets = co_await connection.read();
    if (!octets && octets.error().kind == ErrorKind::stopped) {
        session.on_shutdown();
        co_return "shutdown";
    }
    if (!octets) {
        session.on_eof();
        co_return end_of(octets.error());
    }
    if (octets->empty()) {
        session.on_eof();
        co_return "closed";
    }
    session.on_bytes(*octets);
    co_return "quit";
}

}  // namespace pier::serve
