// Serves POP3 on a connection: does the actions of a pop3::Session with the store, the accounts and the
// network.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include <boost/asio/thread_pool.hpp>

#include "auth/authenticator.h"
#include "auth/guard.h"
#include "auth/tokens.h"
#include "base/time.h"
#include "maildrop/keeper.h"
#include "net/connection.h"
#include "pop3/session.h"
#include "serve/account_sessions.h"
#include "serve/leases.h"
#include "serve/listener_tls.h"
#include "serve/login_delay.h"
#include "serve/meters.h"
#include "store/store.h"

namespace pier::serve {

struct Pop3Settings {
    pop3::Limits limits;
    std::chrono::seconds login_timeout{60};  // from the connection to the login, in all
    std::chrono::seconds idle_timeout{600};  // RFC 1939 §3: at least ten minutes
    std::chrono::seconds tls_handshake_timeout{10};
    bool exclusive = false;  // for every account
    bool scram = true;       // SCRAM is offered
    std::string greeting = "Pier POP3 server ready";
    std::string implementation = "Pier";
};

// What all POP3 sessions share; outlives them.
struct Pop3Service {
    store::Store& store;
    auth::Authenticator& authenticator;
    auth::Guard& guard;
    AccountSessions& sessions;
    Leases& leases;
    LoginDelay& login_delay;
    const maildrop::Keeper& keeper;
    boost::asio::thread_pool& disk_pool;  // for what may wait for the disk
    const net::Tls* tls = nullptr;        // null: no certificate
    Pop3Settings settings;
    Clock clock = system_now;
    auth::Tokens* tokens = nullptr;        // null: no tokens are taken
    wire::SaslTokenSource token_source{};  // what their owners are told

    ProtocolMeters* meters = nullptr;  // null: nothing is measured

    std::atomic<std::uint64_t> logins = 0, failed_logins = 0, retrieved = 0, removed = 0;
};

// What the listener says.
struct Pop3Listener {
    std::string name;
    TlsUse tls = TlsUse::none;
    ClearLogin clear_login = ClearLogin::loopback;
    Networks introducers{};  // proxies that may say with XCLIENT for whom they have connected
    AccessList access{};     // for whom
    TlsMeters* tls_meters = nullptr;
};

net::Task<void> serve_pop3(net::Connection& connection, Pop3Service& service, const Pop3Listener& listener);

}  // namespace pier::serve
