// Serves LMTP, SMTP and submission on a connection: does the actions of an smtp::Session with delivery/ and
// the network.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include <boost/asio/thread_pool.hpp>

#include "auth/authenticator.h"
#include "auth/guard.h"
#include "delivery/delivery.h"
#include "filter/filter.h"
#include "net/connection.h"
#include "net/tls.h"
#include "serve/listener_tls.h"
#include "serve/meters.h"
#include "serve/submission.h"
#include "smtp/session.h"
#include "store/store.h"

namespace pier::serve {

struct SmtpSettings {
    smtp::Kind kind = smtp::Kind::lmtp;
    smtp::Limits limits;
    std::chrono::seconds idle_timeout{300};  // RFC 5321 §4.5.3.2.7
    std::chrono::seconds tls_handshake_timeout{10};
    std::string hostname;
    // What the store's spool keeps in memory. Octets behind that go to a file, so they are written on the
    // pool.
    std::uint64_t spool_memory_octets = 1 << 20;
    bool junk = false;  // what the filter marks as spam goes to the mailboxes "Junk"
};

// What all sessions of one kind share; outlives them.
struct SmtpService {
    store::Store& store;
    delivery::Delivery& delivery;
    boost::asio::thread_pool& disk_pool;
    auth::Guard& guard;
    net::Tls* tls = nullptr;  // null: none
    SmtpSettings settings;
    auth::Authenticator* authenticator = nullptr;  // asks back ends about addresses; null: there are none
    SubmissionService* submission = nullptr;       // of submission alone, which needs it
    filter::Filter* filter = nullptr;              // looks at each message; null: nobody does

    ProtocolMeters* meters = nullptr;  // null: nothing is measured

    std::atomic<std::uint64_t> messages = 0, recipients = 0, octets = 0;
};

struct SmtpListener {
    std::string name;
    TlsUse tls = TlsUse::none;
    ClearLogin clear_login = ClearLogin::loopback;  // of submission
    TlsMeters* tls_meters = nullptr;
};

// The listener outlives the connection.
net::Task<void> serve_smtp(net::Connection& connection, SmtpService& service, const SmtpListener& listener);

}  // namespace pier::serve
