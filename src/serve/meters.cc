#include "serve/meters.h"

namespace pier::serve {

LoginOutcome outcome_of(const auth::Verdict& verdict) {
    const auto* refused = std::get_if<auth::Refused>(&verdict);
    if (refused == nullptr) return LoginOutcome::success;
    switch (refused->why) {
        case auth::Refused::Why::credentials:
            return LoginOutcome::credentials;
        case auth::Refused::Why::disabled:
            return LoginOutcome::disabled;
        case auth::Refused::Why::busy:
            return LoginOutcome::busy;
        case auth::Refused::Why::held:
            return LoginOutcome::held;
        case auth::Refused::Why::outage:
            return LoginOutcome::outage;
    }
    return LoginOutcome::outage;
}

void TlsMeters::note_done(const net::Connection& connection, std::chrono::nanoseconds time) {
    if (connection.answered_challenge()) return;
    const std::string text = connection.tls_text();  // "TLSv1.3/…+resumed"
    const auto version = text.starts_with("TLSv1.3") ? Version::tls13 : Version::tls12;
    const auto kind = text.ends_with("+resumed") ? Kind::resumed : Kind::full;
    ++done_[static_cast<std::size_t>(version)][static_cast<std::size_t>(kind)];
    time_.observe(time);
}

net::Task<Result<void>> measured_start_tls(net::Connection& connection, const net::Tls& tls, const char* alpn,
                                           TlsMeters* meters) {
    const auto began = std::chrono::steady_clock::now();
    auto done = co_await connection.start_tls(tls, alpn);
    if (meters != nullptr) {
        if (done)
            meters->note_done(connection, std::chrono::steady_clock::now() - began);
        else
            meters->note_failed();
    }
    co_return done;
}

}  // namespace pier::serve
