#include "net/connection.h"

#include <algorithm>
#include <cerrno>

#include <boost/asio/redirect_error.hpp>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

namespace pier::net {
namespace {

constexpr std::chrono::seconds linger_time{2};
constexpr std::uint64_t linger_octets_max = 1 << 20;

bool would_block(int error_number) {
    return error_number == EAGAIN || error_number == EWOULDBLOCK;
}

}  // namespace

Connection::Connection(EventLoop& loop, int fd, Endpoint peer, Endpoint local)
    : loop_(loop), socket_(loop.io(), fd), peer_(std::move(peer)), local_(std::move(local)) {
    loop_.add(*this);
}

Connection::~Connection() {
    loop_.remove(*this);
    if (ssl_ != nullptr) SSL_free(ssl_);
}

void Connection::set_deadline(std::chrono::seconds from_now) {
    deadline_ = std::chrono::steady_clock::now() + from_now;
}

void Connection::wake(Woken why) {
    // A passed deadline is stronger than a shutdown: it ends writes too.
    if (woken_ == Woken::deadline) return;
    woken_ = why;
    socket_.cancel();
}

Error Connection::woken_error() const {
    if (woken_ == Woken::deadline) return {ErrorKind::busy, "the time limit has passed"};
    return {ErrorKind::stopped, "the server is stopping"};
}

Task<Result<void>> Connection::wait(Direction direction) {
    using Descriptor = boost::asio::posix::descriptor_base;
    while (true) {
        const bool interrupted =
            woken_ == Woken::deadline || (woken_ == Woken::shutdown && direction == Direction::in);
        if (interrupted) co_return woken_error();
        if (idle_timeout_.count() != 0) set_deadline(idle_timeout_);
        boost::system::error_code error;
        co_await socket_.async_wait(
            direction == Direction::in ? Descriptor::wait_read : Descriptor::wait_write,
            boost::asio::redirect_error(use_task, error));
        if (!error) co_return Result<void>();
        if (error != boost::asio::error::operation_aborted)
            co_return errno_error(error.value(), "wait for the peer");
    }
}

// After an SSL_… call that returned `result` <= 0: waits for what it wants, or says why it cannot go on.
Task<Result<void>> Connection::wait_for_tls(int result, const char* doing) {
    const int reason = SSL_get_error(ssl_, result);
    if (reason == SSL_ERROR_WANT_READ) co_return co_await wait(Direction::in);
    if (reason == SSL_ERROR_WANT_WRITE) co_return co_await wait(Direction::out);
    if (reason == SSL_ERROR_SYSCALL && errno != 0) co_return errno_error(errno, doing);
    co_return Error{ErrorKind::io, fmt::format("cannot {}: {}", doing, tls_error_text())};
}

Task<Result<std::string_view>> Connection::read() {
    // A TLS record may have been read and decrypted already: nothing would wake us for it.
    bool wait_first = ssl_ == nullptr || SSL_has_pending(ssl_) == 0;
    while (true) {
        if (wait_first) {
            if (auto ready = co_await wait(Direction::in); !ready) co_return ready.error();
        }
        wait_first = true;
        const auto buffer = loop_.read_buffer();
        if (ssl_ == nullptr) {
            const ssize_t n = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), 0);
            if (n < 0 && (would_block(errno) || errno == EINTR)) continue;
            if (n < 0) co_return errno_error(errno, "read from the peer");
            octets_in_ += static_cast<std::uint64_t>(n);
            co_return std::string_view(buffer.data(), static_cast<std::size_t>(n));
        }
        ERR_clear_error();
        errno = 0;
        const int n = SSL_read(ssl_, buffer.data(), static_cast<int>(buffer.size()));
        if (n > 0) {
            octets_in_ += static_cast<std::uint64_t>(n);
            co_return std::string_view(buffer.data(), static_cast<std::size_t>(n));
        }
        const int reason = SSL_get_error(ssl_, n);
        if (reason == SSL_ERROR_ZERO_RETURN) co_return std::string_view();
        if (reason == SSL_ERROR_WANT_READ) continue;
        if (auto ready = co_await wait_for_tls(n, "read from the peer"); !ready) co_return ready.error();
        wait_first = false;
    }
}

Task<Result<void>> Connection::write(std::string_view octets, More more) {
    const int flags = MSG_NOSIGNAL | (more == More::follows ? MSG_MORE : 0);
    while (!octets.empty()) {
        if (ssl_ == nullptr) {
            const ssize_t n = ::send(socket_.native_handle(), octets.data(), octets.size(), flags);
            if (n >= 0) {
                octets_out_ += static_cast<std::uint64_t>(n);
                octets.remove_prefix(static_cast<std::size_t>(n));
                continue;
            }
            if (errno == EINTR) continue;
            if (!would_block(errno)) co_return errno_error(errno, "write to the peer");
            if (auto ready = co_await wait(Direction::out); !ready) co_return ready.error();
            continue;
        }
        ERR_clear_error();
        errno = 0;
        const int n =
            SSL_write(ssl_, octets.data(), static_cast<int>(std::min<std::size_t>(octets.size(), 1 << 30)));
        if (n > 0) {
            octets_out_ += static_cast<std::uint64_t>(n);
            octets.remove_prefix(static_cast<std::size_t>(n));
            continue;
        }
        if (auto ready = co_await wait_for_tls(n, "write to the peer"); !ready) co_return ready.error();
    }
    co_return Result<void>();
}

Task<Result<void>> Connection::send_file(int fd, std::uint64_t offset, std::uint64_t octets) {
    while (octets > 0) {
        off_t from = static_cast<off_t>(offset);
        const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(octets, 1u << 30));
        const ssize_t n = ::sendfile(socket_.native_handle(), fd, &from, most);
        if (n == 0) co_return Error{ErrorKind::corrupt, "a file of the store is shorter than its index says"};
        if (n < 0) {
            if (errno == EINTR) continue;
            if (!would_block(errno)) co_return errno_error(errno, "send a file to the peer");
            if (auto ready = co_await wait(Direction::out); !ready) co_return ready.error();
            continue;
        }
        offset += static_cast<std::uint64_t>(n);
        octets -= static_cast<std::uint64_t>(n);
        octets_out_ += static_cast<std::uint64_t>(n);
    }
    co_return Result<void>();
}

Task<Result<void>> Connection::start_tls(const Tls& tls, const char* alpn) {
    ssl_ = tls.new_connection(socket_.native_handle(), alpn);
    if (ssl_ == nullptr) co_return Error{ErrorKind::io, "cannot start TLS: " + tls_error_text()};
    // The client speaks first (RFC 8446 §2): wait before anything is allocated for the handshake.
    if (auto ready = co_await wait(Direction::in); !ready) co_return ready.error();
    while (true) {
        ERR_clear_error();
        errno = 0;
        const int result = SSL_accept(ssl_);
        if (result == 1) co_return Result<void>();
        if (auto ready = co_await wait_for_tls(result, "finish the TLS handshake"); !ready)
            co_return ready.error();
    }
}

Task<void> Connection::close(Unread unread) {
    if (ssl_ != nullptr && SSL_is_init_finished(ssl_)) {
        ERR_clear_error();
        SSL_shutdown(ssl_);
    }
    char octet = 0;
    const bool pending = ::recv(socket_.native_handle(), &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    if (woken_ != Woken::deadline && (pending || unread == Unread::likely)) {
        ::shutdown(socket_.native_handle(), SHUT_WR);
        idle_timeout_ = {};
        set_deadline(linger_time);
        woken_ = Woken::no;
        std::uint64_t thrown_away = 0;
        while (thrown_away < linger_octets_max) {
            if (auto ready = co_await wait(Direction::in); !ready) break;
            const auto buffer = loop_.read_buffer();
            const ssize_t n = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), 0);
            if (n == 0 || (n < 0 && !would_block(errno) && errno != EINTR)) break;
            if (n > 0) thrown_away += static_cast<std::uint64_t>(n);
        }
    }
    boost::system::error_code ignored;
    socket_.close(ignored);
}

std::string Connection::tls_text() const {
    if (ssl_ == nullptr) return {};
    return fmt::format("{}/{}{}", SSL_get_version(ssl_), SSL_get_cipher_name(ssl_),
                       SSL_session_reused(ssl_) ? "+resumed" : "");
}

}  // namespace pier::net
