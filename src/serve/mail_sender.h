// Sends one stored message as POP3 does (RFC 1939 §3): the reply line, the message dot-stuffed, the line that
// ends it. From the store to the socket in blocks; by sendfile(2) where no octet has to be touched.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include <boost/asio/thread_pool.hpp>

#include "net/connection.h"
#include "store/store.h"

namespace pier::serve {

struct SendOutcome {
    enum class What { sent, refused, broken } what{};  // refused: nothing was written; broken: part of it was
    Error error;                                       // why it was not sent
    std::chrono::steady_clock::time_point ready{};     // of a message sent: when its first octet could leave
};

// `body_lines`: as TOP wants it; absent: the whole message. `pool`: for octets that have to come from the
// disk first.
net::Task<SendOutcome> send_mail(net::Connection& connection, boost::asio::thread_pool& pool,
                                 store::Body& body, std::optional<std::uint64_t> body_lines,
                                 std::string_view reply);

}  // namespace pier::serve
