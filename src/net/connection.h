// One client's connection, plain or TLS, TCP or Unix socket. It lives on one EventLoop and is used by one
// coroutine there.
//
// Waiting holds no buffer: read() waits until there is something and only then borrows the loop's buffer, so
// an idle connection costs its socket and its session alone. Failures are values: `busy` the deadline passed,
// `stopped` the server stops, `io` the peer or the network.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/result.h"
#include "net/endpoint.h"
#include "net/event_loop.h"
#include "net/own_visits.h"
#include "net/task.h"
#include "net/tls.h"
#include "net/tls_stream.h"

namespace pier::net {

class Connection final : private EventLoop::Watcher {
  public:
    enum class Woken { no, deadline, shutdown };
    using SteadyTime = EventLoop::SteadyTime;

    // Takes the non-blocking socket `fd` over. The loop outlives the connection.
    Connection(EventLoop& loop, int fd, Endpoint peer, Endpoint local);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // What the peer sent, at least one octet; empty at its end. The view is good until the next co_await.
    Task<Result<std::string_view>> read();

    // The proxy in front of us has said who the peer is (net/proxy_header.h). Waits for its header, which
    // nothing else is read before; a failure also if it is malformed. Until then peer() is the proxy.
    Task<Result<void>> read_proxy_header();

    // The same, said in the protocol's own words. `tls`: between the client and the proxy, as tls_text() is
    // to tell it; empty: none.
    void introduce(const Endpoint& client, std::string tls) {
        peer_ = client;
        proxy_tls_ = std::move(tls);
        introduced_ = true;
    }

    // All of it, or a failure. `octets` must live until then. A peer that takes nothing until the deadline
    // fails it.
    // More::follows keeps a short piece back until the next write, so that both leave in one packet. With TLS
    // any short piece may wait for the next read, write or close: whoever writes does one of them next.
    enum class More { none, follows };
    Task<Result<void>> write(std::string_view octets, More more = More::none);

    // As much of it as the socket takes at once; wait for room() before the next try, which must offer the
    // same octets again, and what follows them. So a caller that can have them again need not keep them.
    Result<std::size_t> write_some(std::string_view octets);
    Task<Result<void>> room();

    // As much of the pieces, one behind the other, as the socket takes at once. Only without TLS.
    static constexpr std::size_t pieces_max = 64;
    Result<std::uint64_t> write_now(std::span<const std::string_view> pieces);

    // Part of a file, by sendfile(2). Only without TLS.
    Task<Result<void>> send_file(int fd, std::uint64_t offset, std::uint64_t octets);

    // The server's side of the handshake. `alpn` ("pop3") is the only protocol name that is accepted from a
    // client that names any (RFC 7301); it must be a literal.
    Task<Result<void>> start_tls(const Tls& tls, const char* alpn);

    // Ends the connection so that what was written arrives: if the peer is still sending, its octets are read
    // and thrown away for a moment, because closing over unread octets would make the kernel reset the
    // connection.
    enum class Unread { unlikely, likely };
    Task<void> close(Unread unread);

    bool tls() const { return tls_ != nullptr; }
    // The handshake was an ACME authority's (RFC 8737): the connection is to be closed now.
    bool answered_challenge() const { return tls_ && tls_->answers_challenge(); }
    // "TLSv1.3/TLS_AES_128_GCM_SHA256", "+resumed" behind it, "+proxy" if it is between the client and the
    // proxy; empty without TLS.
    std::string tls_text() const;
    // Nobody between the client and us, or the client and the trusted proxy, can read along.
    bool is_private() const { return tls_ != nullptr || !proxy_tls_.empty(); }
    // What identifies the TLS channel to both ends: "tls-exporter" (RFC 9266; with TLS 1.3) or
    // "tls-server-end-point" (RFC 5929 §4). Raw octets; empty if there is none of that type.
    std::string channel_binding(std::string_view type) const {
        return tls_ ? tls_->channel_binding(type) : std::string();
    }
    bool has_exporter() const { return tls_ && tls_->has_exporter(); }
    // Who the client is by the certificate that it has shown; null: it has shown none. One that a proxy has
    // shown, which then introduced its client, is not the client's.
    const TlsClient* client() const { return tls_ && !introduced_ ? tls_->client() : nullptr; }
    const Endpoint& peer() const { return peer_; }
    int socket() const { return fd_; }  // its owner stays the connection
    // `visits` outlives the connection.
    void use_own_visits(const OwnVisits* visits) { own_visits_ = visits; }
    // It is this process's own look at itself. Known at the session's end; at its beginning it may be too
    // early.
    bool is_own_visit() const {
        return own_visits_ != nullptr && !peer_.is_unix() && own_visits_->knows(peer_.address, peer_.port);
    }
    // Of what such a look leads to, the log tells only to who wants to see everything.
    log::Level log_level() const { return is_own_visit() ? log::Level::debug : log::Level::info; }
    const Endpoint& local() const { return local_; }
    EventLoop& loop() { return loop_; }

    // Every wait ends with `busy` at the deadline (looked at once a second). With an idle timeout each wait
    // sets a deadline of its own; without one the deadline that was set stays.
    void set_idle_timeout(std::chrono::seconds timeout) { idle_timeout_ = timeout; }
    void set_deadline(std::chrono::seconds from_now);
    SteadyTime deadline() const { return deadline_; }

    // Nothing happens for that long, to the second; a failure, as of read(), when the wait was cut short.
    Task<Result<void>> pause(std::chrono::seconds time);

    // The session has work that a stopping server should let it finish.
    void set_worth_finishing(bool worth) { worth_finishing_ = worth; }
    bool worth_finishing() const { return worth_finishing_; }

    // Ends the present or the next read, once (shutdown), or this and all later waits (deadline). On the
    // loop's thread.
    void wake(Woken why);

    std::uint64_t octets_in() const { return octets_in_; }
    std::uint64_t octets_out() const { return octets_out_; }

  private:
    friend class EventLoop;
    enum class Direction { in, out };
    struct Wait;

    void on_events(std::uint32_t events) override;
    void close_socket();
    bool interrupted(Direction direction) const;
    bool ready(Direction direction) const { return direction == Direction::in ? readable_ : writable_; }
    // Until the socket is readable_ or writable_. Who has found that it is not has cleared that first.
    Wait wait(Direction direction);
    Wait wait_for_room();
    Task<Result<void>> wait_for_tls(TlsStream::Step step, const char* doing);
    Task<Result<void>> flush_tls();
    Task<Result<std::string_view>> read_tls();
    Task<Result<void>> write_tls(std::string_view octets);
    Error woken_error() const;

    EventLoop& loop_;
    std::size_t place_in_loop_ = 0;
    int fd_;
    std::unique_ptr<TlsStream> tls_;
    Endpoint peer_, local_;
    const OwnVisits* own_visits_ = nullptr;
    std::string proxy_tls_;  // of the client and the proxy in front of us, if there is one
    SteadyTime deadline_ = SteadyTime::max();
    std::chrono::seconds idle_timeout_{0};
    std::uint64_t octets_in_ = 0, octets_out_ = 0;
    std::coroutine_handle<> waiting_;
    Direction waits_for_{};
    Woken woken_ = Woken::no;
    // What the last events and calls have told; epoll tells each change once.
    bool readable_ = false, writable_ = true;
    bool ended_ = false;         // the peer sends no more, or the connection is broken: reading never waits
    bool watches_room_ = false;  // for being writable: asked for when a write has to wait for the first time
    bool worth_finishing_ = false;
    bool introduced_ = false;
};

}  // namespace pier::net
