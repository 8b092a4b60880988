// Listening sockets: bound by us, or handed over by systemd (socket activation). Each event loop accepts from
// its own socket of the same address (SO_REUSEPORT), so connections spread over the cores without a lock.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/endpoint.h"
#include "net/event_loop.h"

namespace pier::net {

// The sockets of one listener, one per loop. Closes them; a Unix socket's file is removed too.
class ListenSockets {
  public:
    ListenSockets() = default;
    ListenSockets(ListenSockets&& other) noexcept { *this = std::move(other); }
    ListenSockets& operator=(ListenSockets&& other) noexcept;
    ~ListenSockets();

    // Binds and listens, `loops` times. The failure says what to do about it (who may hold the port,
    // privileges). A Unix socket's file that nobody listens on any more is replaced; its mode is `unix_mode`.
    static Result<ListenSockets> bind(const Endpoint& where, std::size_t loops, unsigned unix_mode = 0660);
    // Takes over a listening socket; every loop waits on a duplicate of it.
    static Result<ListenSockets> adopt(int fd, std::size_t loops);

    const std::vector<int>& fds() const { return fds_; }
    const Endpoint& local() const { return local_; }  // with the port that the kernel chose, if 0 was asked

  private:
    Result<void> bind_tcp(std::size_t loops);
    Result<void> bind_unix(std::size_t loops, unsigned mode);
    std::vector<int> fds_;
    Endpoint local_;
    bool owns_path_ = false;
};

// A new client: the socket (non-blocking, no-delay), now the callee's, and who it is.
using OnAccept = std::function<void(EventLoop& loop, int fd, const Endpoint& peer)>;

// Accepts on one loop, from start() to stop(), both on the loop's thread (or before it runs). When file
// descriptors run out it waits a little and says so, at most once a minute.
class Acceptor final : public std::enable_shared_from_this<Acceptor>, private EventLoop::Watcher {
  public:
    // Waits on a duplicate of `listen_fd`. `name` is the listener's, for the log.
    Acceptor(EventLoop& loop, int listen_fd, OnAccept on_accept, std::string name);
    ~Acceptor() { stop(); }
    Acceptor(const Acceptor&) = delete;
    Acceptor& operator=(const Acceptor&) = delete;
    void start();
    void stop();  // what the kernel has queued stays there, for others who hold the socket

  private:
    void on_events(std::uint32_t events) override;
    void pause();
    // The log says it once a minute: a descriptor that comes free lets one in, and the next one finds none
    // again.
    void say_exhausted(const char* reason, const char* hint);
    EventLoop& loop_;
    int fd_;
    OnAccept on_accept_;
    std::string name_;
    // When the log was last told that nobody can be accepted; absent: never.
    std::optional<EventLoop::SteadyTime> said_exhausted_;
};

}  // namespace pier::net
