#include "net/connection.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>

#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/proxy_header.h"

namespace pier::net {
namespace {

constexpr std::chrono::seconds linger_time{2};
constexpr std::uint64_t linger_octets_max = 1 << 20;

bool would_block(int error_number) {
    return error_number == EAGAIN || error_number == EWOULDBLOCK;
}

}  // namespace

// What a read or a write awaits. It ends with an error when the connection is woken for another reason.
struct Connection::Wait {
    Connection& connection;
    Direction direction;

    bool await_ready() const { return connection.interrupted(direction) || connection.ready(direction); }
    void await_suspend(std::coroutine_handle<> waiting) const {
        connection.waits_for_ = direction;
        connection.waiting_ = waiting;
    }
    Result<void> await_resume() const {
        if (!connection.interrupted(direction)) return {};
        Error error = connection.woken_error();
        // A shutdown is told once: who reads on all the same, to the end of a message, waits for its octets,
        // and not in circles.
        if (connection.woken_ == Woken::shutdown) connection.woken_ = Woken::no;
        return error;
    }
};

Connection::Connection(EventLoop& loop, int fd, Endpoint peer, Endpoint local)
    : loop_(loop), fd_(fd), peer_(std::move(peer)), local_(std::move(local)) {
    try {
        loop_.add(*this);
    } catch (...) {
        ::close(fd_);
        throw;
    }
    // Failing here (no memory in the kernel) leaves a connection whose reads end at once.
    if (!loop_.watch(fd_, EPOLLIN | EPOLLRDHUP | EPOLLET, *this)) woken_ = Woken::deadline;
}

Connection::~Connection() {
    if (tls_ && fd_ >= 0) tls_->flush();
    close_socket();
    loop_.remove(*this);
}

// Closing takes it out of the epoll set as well.
void Connection::close_socket() {
    if (fd_ < 0) return;
    loop_.forget(*this);
    ::close(fd_);
    fd_ = -1;
}

void Connection::set_deadline(std::chrono::seconds from_now) {
    deadline_ = loop_.now() + from_now;
}

void Connection::on_events(std::uint32_t events) {
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) ended_ = true;
    if ((events & EPOLLIN) != 0 || ended_) readable_ = true;
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable_ = true;
    if (waiting_ && ready(waits_for_)) std::exchange(waiting_, {}).resume();
}

bool Connection::interrupted(Direction direction) const {
    return woken_ == Woken::deadline || (woken_ == Woken::shutdown && direction == Direction::in);
}

void Connection::wake(Woken why) {
    // A passed deadline is stronger than a shutdown: it ends writes too.
    if (woken_ == Woken::deadline) return;
    woken_ = why;
    if (!waiting_ || !interrupted(waits_for_)) return;
    // From here on no event resumes it: it goes on once.
    loop_.post([waiting = std::exchange(waiting_, {})] { waiting.resume(); });
}

Error Connection::woken_error() const {
    if (woken_ == Woken::deadline) return {ErrorKind::busy, "the time limit has passed"};
    return {ErrorKind::stopped, "the server is stopping"};
}

Connection::Wait Connection::wait(Direction direction) {
    if (idle_timeout_.count() != 0) set_deadline(idle_timeout_);
    return {*this, direction};
}

Connection::Wait Connection::wait_for_room() {
    writable_ = false;
    if (!watches_room_) {
        watches_room_ = true;
        loop_.rewatch(fd_, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this);
    }
    return wait(Direction::out);
}

// After a step that is not done: waits for what it wants, or says why it cannot go on.
Task<Result<void>> Connection::wait_for_tls(TlsStream::Step step, const char* doing) {
    if (step == TlsStream::Step::wants_input) co_return co_await wait(Direction::in);
    if (step == TlsStream::Step::wants_room) co_return co_await wait_for_room();
    if (step == TlsStream::Step::end) co_return Error{ErrorKind::io, "the peer is gone"};
    co_return tls_->error(doing);
}

Task<Result<void>> Connection::flush_tls() {
    while (true) {
        const auto step = tls_->flush();
        if (step == TlsStream::Step::done) co_return Result<void>();
        if (auto ready = co_await wait_for_tls(step, "write to the peer"); !ready) co_return ready.error();
    }
}

Task<Result<std::string_view>> Connection::read_tls() {
    if (tls_->holds_output()) {
        if (auto flushed = co_await flush_tls(); !flushed) co_return flushed.error();
    }
    if (!tls_->has_input()) {
        if (auto ready = co_await wait(Direction::in); !ready) co_return ready.error();
    }
    while (true) {
        const auto buffer = loop_.read_buffer();
        std::size_t got = 0;
        auto step = TlsStream::Step::done;
        {
            EventLoop::Block lent(loop_);
            step = tls_->read(lent.span(), buffer, got);
        }
        if (tls_->emptied_socket()) readable_ = ended_;
        octets_in_ += got;
        const bool ended = step == TlsStream::Step::end;
        if (ended || got > 0) co_return std::string_view(buffer.data(), got);
        if (step == TlsStream::Step::done) continue;
        // What answers the octets just read (no_renegotiation) leaves now: nobody may write for a long time.
        if (tls_->holds_output()) {
            if (auto flushed = co_await flush_tls(); !flushed) co_return flushed.error();
        }
        if (auto ready = co_await wait_for_tls(step, "read from the peer"); !ready) co_return ready.error();
    }
}

Task<Result<void>> Connection::write_tls(std::string_view octets) {
    while (!octets.empty()) {
        std::size_t taken = 0;
        const auto step = tls_->write(octets, taken);
        octets_out_ += taken;
        octets.remove_prefix(taken);
        if (step == TlsStream::Step::done) continue;
        if (auto ready = co_await wait_for_tls(step, "write to the peer"); !ready) co_return ready.error();
    }
    co_return Result<void>();
}

Task<Result<std::string_view>> Connection::read() {
    if (tls_) co_return co_await read_tls();
    while (true) {
        if (auto ready = co_await wait(Direction::in); !ready) co_return ready.error();
        const auto buffer = loop_.read_buffer();
        const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), 0);
        if (n < 0 && errno == EINTR) continue;
        // epoll(7): a read that did not fill its buffer has emptied the socket.
        if (n < static_cast<ssize_t>(buffer.size())) readable_ = ended_;
        if (n < 0 && would_block(errno)) {
            readable_ = false;
            continue;
        }
        if (n < 0) co_return errno_error(errno, "read from the peer");
        octets_in_ += static_cast<std::uint64_t>(n);
        co_return std::string_view(buffer.data(), static_cast<std::size_t>(n));
    }
}

// Looked at without being taken, so that what comes behind it, which may be TLS, stays in the socket.
Task<Result<void>> Connection::read_proxy_header() {
    while (true) {
        if (auto ready = co_await wait(Direction::in); !ready) co_return ready.error();
        const auto buffer = loop_.read_buffer().first(proxy_header_octets_max);
        const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), MSG_PEEK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && !would_block(errno)) co_return errno_error(errno, "read from the proxy");
        if (n == 0) co_return Error{ErrorKind::io, "the proxy is gone"};
        const auto parsed =
            parse_proxy_header({buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))});
        if (const auto* bad = std::get_if<ProxyHeaderMalformed>(&parsed))
            co_return Error{ErrorKind::invalid, bad->text};
        const auto* header = std::get_if<ProxyHeader>(&parsed);
        if (header == nullptr) {
            if (ended_) co_return Error{ErrorKind::io, "the proxy is gone"};
            readable_ = false;  // epoll tells when more has come
            continue;
        }
        ssize_t taken = 0;
        do
            taken = ::recv(fd_, buffer.data(), header->octets, 0);
        while (taken < 0 && errno == EINTR);
        if (taken != static_cast<ssize_t>(header->octets))
            co_return errno_error(errno, "read from the proxy");
        if (header->has_client) {
            peer_ = header->client;
            local_ = header->server;
        }
        proxy_tls_ = header->tls;
        co_return Result<void>();
    }
}

Task<Result<void>> Connection::write(std::string_view octets, More more) {
    if (tls_) co_return co_await write_tls(octets);
    const int flags = MSG_NOSIGNAL | (more == More::follows ? MSG_MORE : 0);
    while (!octets.empty()) {
        const ssize_t n = ::send(fd_, octets.data(), octets.size(), flags);
        if (n >= 0) {
            octets_out_ += static_cast<std::uint64_t>(n);
            octets.remove_prefix(static_cast<std::size_t>(n));
            continue;
        }
        if (errno == EINTR) continue;
        if (!would_block(errno)) co_return errno_error(errno, "write to the peer");
        if (auto ready = co_await wait_for_room(); !ready) co_return ready.error();
    }
    co_return Result<void>();
}

Result<std::size_t> Connection::write_some(std::string_view octets) {
    std::size_t written = 0;
    while (written < octets.size()) {
        std::size_t taken = 0;
        if (tls_) {
            const auto step = tls_->write(octets.substr(written), taken);
            if (step == TlsStream::Step::failed || step == TlsStream::Step::end)
                return tls_->error("write to the peer");
        } else {
            const ssize_t n =
                ::send(fd_, octets.data() + written, octets.size() - written, MSG_NOSIGNAL | MSG_MORE);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && !would_block(errno)) return errno_error(errno, "write to the peer");
            taken = n < 0 ? 0 : static_cast<std::size_t>(n);
        }
        if (taken == 0) break;
        written += taken;
    }
    octets_out_ += written;
    return written;
}

Task<Result<void>> Connection::room() {
    co_return co_await wait_for_room();
}

Result<std::uint64_t> Connection::write_now(std::span<const std::string_view> pieces) {
    std::array<iovec, pieces_max> vectors;
    assert(pieces.size() <= vectors.size() && !tls_);
    for (std::size_t i = 0; i < pieces.size(); ++i)
        vectors[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = pieces.size();
    ssize_t n = -1;
    do {
        n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && would_block(errno)) return std::uint64_t{0};
    if (n < 0) return errno_error(errno, "write to the peer");
    octets_out_ += static_cast<std::uint64_t>(n);
    return static_cast<std::uint64_t>(n);
}

Task<Result<void>> Connection::send_file(int fd, std::uint64_t offset, std::uint64_t octets) {
    while (octets > 0) {
        off_t from = static_cast<off_t>(offset);
        const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(octets, 1u << 30));
        const ssize_t n = ::sendfile(fd_, fd, &from, most);
        if (n == 0) co_return Error{ErrorKind::corrupt, "a file of the store is shorter than its index says"};
        if (n < 0) {
            if (errno == EINTR) continue;
            if (!would_block(errno)) co_return errno_error(errno, "send a file to the peer");
            if (auto ready = co_await wait_for_room(); !ready) co_return ready.error();
            continue;
        }
        offset += static_cast<std::uint64_t>(n);
        octets -= static_cast<std::uint64_t>(n);
        octets_out_ += static_cast<std::uint64_t>(n);
    }
    co_return Result<void>();
}

Task<Result<void>> Connection::start_tls(const Tls& tls, const char* alpn) {
    tls_ = TlsStream::make(tls, fd_, alpn);
    if (!tls_) co_return Error{ErrorKind::io, "cannot start TLS: " + tls_error_text()};
    // The client speaks first (RFC 8446 §2): wait before anything is allocated for the handshake.
    if (auto ready = co_await wait(Direction::in); !ready) co_return ready.error();
    while (true) {
        auto step = TlsStream::Step::done;
        {
            EventLoop::Block lent(loop_);
            step = tls_->handshake(lent.span());
        }
        if (tls_->emptied_socket()) readable_ = ended_;
        if (step == TlsStream::Step::done) co_return Result<void>();
        if (auto ready = co_await wait_for_tls(step, "finish the TLS handshake"); !ready)
            co_return ready.error();
    }
}

Task<void> Connection::close(Unread unread) {
    if (tls_) {
        tls_->say_goodbye();
        co_await flush_tls();
    }
    char octet = 0;
    const bool pending = ::recv(fd_, &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    if (woken_ != Woken::deadline && (pending || unread == Unread::likely)) {
        ::shutdown(fd_, SHUT_WR);
        idle_timeout_ = {};
        set_deadline(linger_time);
        woken_ = Woken::no;
        std::uint64_t thrown_away = 0;
        while (thrown_away < linger_octets_max) {
            if (auto ready = co_await wait(Direction::in); !ready) break;
            const auto buffer = loop_.read_buffer();
            const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), 0);
            if (n < 0 && would_block(errno)) readable_ = false;
            if (n == 0 || (n < 0 && !would_block(errno) && errno != EINTR)) break;
            if (n > 0) thrown_away += static_cast<std::uint64_t>(n);
        }
    }
    close_socket();
}

Task<Result<void>> Connection::pause(std::chrono::seconds time) {
    const SteadyTime end = loop_.now() + time;
    while (loop_.now() < end) {
        co_await next_sweep(loop_);
        if (woken_ != Woken::no) co_return woken_error();
    }
    co_return Result<void>();
}

std::string Connection::tls_text() const {
    if (tls_) return tls_->text();
    return proxy_tls_.empty() ? std::string() : proxy_tls_ + "+proxy";
}

}  // namespace pier::net
