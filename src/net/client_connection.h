// A connection to a server, in clear or TLS. It blocks, with time limits; one thread. For what waits on
// threads of its own, never for an event loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/network.h"
#include "base/result.h"
#include "net/own_visits.h"

namespace pier::net {

class ClientConnection {
  public:
    using Milliseconds = std::chrono::milliseconds;
    struct FreeSsl {
        void operator()(SSL* ssl) const { SSL_free(ssl); }
    };
    using Ssl = std::unique_ptr<SSL, FreeSsl>;

    struct Options {
        // Readable: everything that waits here ends at once with `stopped`. Not owned; -1: none.
        int stop_fd = -1;
        // Which of our addresses it comes from; unspecified: the kernel chooses.
        IpAddress source{};
        // Told where the connection comes from, before connect() returns. Not owned; may be null.
        OwnVisits* visits = nullptr;
    };

    // Errors say what went wrong, not with whom. `stopped`: it has not answered in time, has broken off, or
    // `stop_fd` says so; `io` and others: as errno tells.
    static Result<std::unique_ptr<ClientConnection>> connect(const sockaddr* address, socklen_t octets,
                                                             Milliseconds limit, const Options& options);
    static Result<std::unique_ptr<ClientConnection>> connect(const IpAddress& address, std::uint16_t port,
                                                             Milliseconds limit, const Options& options);
    ~ClientConnection();
    ClientConnection(const ClientConnection&) = delete;
    ClientConnection& operator=(const ClientConnection&) = delete;

    // TLS by `ssl`, which the caller has set up (name, verification); from then on it is used, also by tls().
    // The limit is for all of the handshake.
    Result<void> start_tls(Ssl ssl, Milliseconds limit);
    SSL* tls() const { return tls_.get(); }  // null: in clear

    // All of it; the limit is for each wait.
    Result<void> write(std::string_view octets, Milliseconds limit);
    // Some octets, good until the next call; empty: the server has closed the connection.
    Result<std::string_view> read(Milliseconds limit);

  private:
    ClientConnection(int fd, const Options& options) : fd_(fd), options_(options) {}
    Result<void> wait(short events, Milliseconds limit);
    void note_visit() const;
    Result<void> after_tls(int result, std::string_view doing, Milliseconds limit);

    const int fd_;
    const Options options_;
    Ssl tls_;
    std::string block_;
};

}  // namespace pier::net
