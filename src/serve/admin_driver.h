// Serves the management protocol (admin/protocol.h) on a Unix socket. Who may connect is for the socket's
// mode to say.
#pragma once

#include <cstdint>

#include <boost/asio/thread_pool.hpp>

#include "admin/api.h"
#include "net/connection.h"

namespace pier::serve {

// What all management connections share; outlives them.
struct AdminService {
    const admin::Api& api;
    boost::asio::thread_pool& pool;     // methods may wait for the disk
    std::uint64_t body_octets_max = 0;  // of one request
};

net::Task<void> serve_admin(net::Connection& connection, AdminService& service);

}  // namespace pier::serve
