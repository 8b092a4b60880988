// The way from a connection into a protocol session, the same for every protocol.
#pragma once

#include <string_view>

#include "net/connection.h"

namespace pier::serve {

// How a connection whose read or write failed has ended, as the log says it.
inline std::string_view end_of(const Error& error) {
    return error.kind == ErrorKind::busy ? "timeout" : "lost";
}

// Tells the session what Connection::read() gave: on_bytes(), on_eof() or on_shutdown(). Gives how the
// connection ends if the session now ends: "quit", "closed", "shutdown", "timeout" or "lost".
template <class Session>
std::string_view feed(Session& session, const Result<std::string_view>& octets) {
    if (!octets && octets.error().kind == ErrorKind::stopped) {
        session.on_shutdown();
        return "shutdown";
    }
    if (!octets) {
        session.on_eof();
        return end_of(octets.error());
    }
    if (octets->empty()) {
        session.on_eof();
        return "closed";
    }
    session.on_bytes(*octets);
    return "quit";
}

}  // namespace pier::serve
