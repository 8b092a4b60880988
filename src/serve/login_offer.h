// What a connection offers to who logs in on it, the same for every protocol.
#pragma once

#include "base/log.h"
#include "net/connection.h"
#include "serve/listener_tls.h"
#include "wire/sasl.h"

namespace pier::serve {

inline bool clear_login_allowed(const net::Endpoint& peer, ClearLogin from) {
    return from == ClearLogin::always || (from == ClearLogin::loopback && peer.is_loopback());
}
inline bool clear_login_allowed(const net::Connection& connection, ClearLogin from) {
    return clear_login_allowed(connection.peer(), from);
}

// `tokens`: null if none are taken; outlives the session.
inline wire::SaslOffer sasl_offer(const net::Connection& connection, const wire::SaslTokenSource* tokens) {
    wire::SaslOffer offer;
    if (connection.has_exporter()) offer.channel = wire::SaslChannel::bindable;
    offer.tokens = tokens;
    offer.certificate = connection.client() != nullptr && !connection.client()->names.empty();
    return offer;
}

// A certificate that the client has shown and nobody can use, in the log.
inline void log_certificate(const net::Connection& connection, std::string_view listener) {
    if (connection.client() == nullptr || connection.client()->problem.empty()) return;
    log::info("tls.client.unusable", {{"listener", listener},
                                      {"peer", connection.peer().text()},
                                      {"reason", connection.client()->problem}});
}

}  // namespace pier::serve
