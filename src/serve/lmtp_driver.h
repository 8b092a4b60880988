// Serves LMTP on a connection: does the actions of an smtp::Session with delivery/ and the network.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include <boost/asio/thread_pool.hpp>

#include "delivery/delivery.h"
#include "net/connection.h"
#include "smtp/session.h"
#include "store/store.h"

namespace pier::serve {

struct LmtpSettings {
    smtp::Limits limits;
    std::chrono::seconds idle_timeout{300};  // RFC 5321 §4.5.3.2.7
    std::string hostname;
    // What the store's spool keeps in memory. Octets behind that go to a file, so they are written on the
    // pool.
    std::uint64_t spool_memory_octets = 1 << 20;
};

// What all LMTP sessions share; outlives them.
struct LmtpService {
    store::Store& store;
    delivery::Delivery& delivery;
    boost::asio::thread_pool& disk_pool;
    LmtpSettings settings;

    std::atomic<std::uint64_t> messages = 0, recipients = 0, octets = 0;
};

net::Task<void> serve_lmtp(net::Connection& connection, LmtpService& service, const std::string& listener);

}  // namespace pier::serve
