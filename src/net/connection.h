// One client's connection, plain or TLS, TCP or Unix socket. It lives on one EventLoop and is used by one
// coroutine there.
//
// Waiting holds no buffer: read() waits until there is something and only then borrows the loop's buffer, so
// an idle connection costs its socket and its session alone. Failures are values: `busy` the deadline passed,
// `stopped` the server stops, `io` the peer or the network.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <openssl/types.h>

#include "base/result.h"
#include "net/endpoint.h"
#include "net/event_loop.h"
#include "net/task.h"
#include "net/tls.h"

namespace pier::net {

class Connection {
  public:
    enum class Woken { no, deadline, shutdown };
    using SteadyTime = std::chrono::steady_clock::time_point;

    // Takes the non-blocking socket `fd` over. The loop outlives the connection.
    Connection(EventLoop& loop, int fd, Endpoint peer, Endpoint local);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // What the peer sent, at least one octet; empty at its end. The view is good until the next co_await.
    Task<Result<std::string_view>> read();

    // All of it, or a failure. `octets` must live until then. A peer that takes nothing until the deadline
    // fails it.
    // More::follows keeps a short piece back until the next write, so that both leave in one packet.
    enum class More { none, follows };
    Task<Result<void>> write(std::string_view octets, More more = More::none);

    // Part of a file, by sendfile(2). Only without TLS.
    Task<Result<void>> send_file(int fd, std::uint64_t offset, std::uint64_t octets);

    // The server's side of the handshake. `alpn` as in Tls::new_connection.
    Task<Result<void>> start_tls(const Tls& tls, const char* alpn);

    // Ends the connection so that what was written arrives: if the peer is still sending, its octets are read
    // and thrown away for a moment, because closing over unread octets would make the kernel reset the
    // connection.
    enum class Unread { unlikely, likely };
    Task<void> close(Unread unread);

    bool tls() const { return ssl_ != nullptr; }
    std::string tls_text()
        const;  // "TLSv1.3/TLS_AES_256_GCM_SHA384", "+resumed" behind it; empty without TLS
    const Endpoint& peer() const { return peer_; }
    const Endpoint& local() const { return local_; }
    EventLoop& loop() { return loop_; }

    // Every wait ends with `busy` at the deadline (looked at once a second). With an idle timeout each wait
    // sets a deadline of its own; without one the deadline that was set stays.
    void set_idle_timeout(std::chrono::seconds timeout) { idle_timeout_ = timeout; }
    void set_deadline(std::chrono::seconds from_now);
    SteadyTime deadline() const { return deadline_; }

    // The session has work that a stopping server should let it finish.
    void set_worth_finishing(bool worth) { worth_finishing_ = worth; }
    bool worth_finishing() const { return worth_finishing_; }

    // Ends the present and later reads (shutdown) or all waits (deadline). On the loop's thread.
    void wake(Woken why);

    std::uint64_t octets_in() const { return octets_in_; }
    std::uint64_t octets_out() const { return octets_out_; }

  private:
    friend class EventLoop;
    enum class Direction { in, out };
    Task<Result<void>> wait(Direction direction);
    Task<Result<void>> wait_for_tls(int result, const char* doing);
    Error woken_error() const;

    EventLoop& loop_;
    std::size_t place_in_loop_ = 0;
    boost::asio::posix::basic_stream_descriptor<Executor> socket_;
    SSL* ssl_ = nullptr;
    Endpoint peer_, local_;
    SteadyTime deadline_ = SteadyTime::max();
    std::chrono::seconds idle_timeout_{0};
    std::uint64_t octets_in_ = 0, octets_out_ = 0;
    Woken woken_ = Woken::no;
    bool worth_finishing_ = false;
};

}  // namespace pier::net
