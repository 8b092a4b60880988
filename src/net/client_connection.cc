#include "net/client_connection.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <unistd.h>

namespace pier::net {
namespace {

constexpr std::size_t block_octets = 64 << 10;

std::string tls_error_or(std::string_view otherwise) {
    const char* reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason ? reason : std::string(otherwise);
}

Error broken(std::string text) {
    return {ErrorKind::stopped, std::move(text)};
}

// The octets of a socket's address; their number.
socklen_t fill(sockaddr_storage& storage, const IpAddress& address, std::uint16_t port) {
    if (address.is_v4()) {
        auto& four = reinterpret_cast<sockaddr_in&>(storage);
        four.sin_family = AF_INET;
        four.sin_port = htons(port);
        const auto bytes = address.to_v4().to_bytes();
        std::memcpy(&four.sin_addr, bytes.data(), bytes.size());
        return sizeof four;
    }
    auto& six = reinterpret_cast<sockaddr_in6&>(storage);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    const auto bytes = address.to_v6().to_bytes();
    std::memcpy(&six.sin6_addr, bytes.data(), bytes.size());
    return sizeof six;
}

// "300 s", or "200 ms" for what is no whole number of seconds.
std::string shown(std::chrono::milliseconds time) {
    return time.count() % 1000 == 0 ? fmt::format("{} s", time.count() / 1000)
                                    : fmt::format("{} ms", time.count());
}

}  // namespace

Result<std::unique_ptr<ClientConnection>> ClientConnection::connect(const sockaddr* address, socklen_t octets,
                                                                    Milliseconds limit,
                                                                    const Options& options) {
    const int fd = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return errno_error(errno, "make a socket");
    std::unique_ptr<ClientConnection> connection(new ClientConnection(fd, options));
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!options.source.is_unspecified() && options.source.is_v4() == (address->sa_family == AF_INET)) {
        sockaddr_storage source{};
        const socklen_t size = fill(source, options.source, 0);
        if (::bind(fd, reinterpret_cast<const sockaddr*>(&source), size) != 0)
            return errno_error(errno, "come from " + options.source.to_string());
    }
    if (::connect(fd, address, octets) == 0) {
        connection->note_visit();
        return connection;
    }
    if (errno != EINPROGRESS) return errno_error(errno, "connect");
    if (auto ready = connection->wait(POLLOUT, limit); !ready) return ready.error();
    int code = 0;
    socklen_t size = sizeof code;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size);
    if (code != 0) return errno_error(code, "connect");
    connection->note_visit();
    return connection;
}

Result<std::unique_ptr<ClientConnection>> ClientConnection::connect(const IpAddress& address,
                                                                    std::uint16_t port, Milliseconds limit,
                                                                    const Options& options) {
    sockaddr_storage storage{};
    const socklen_t octets = fill(storage, address, port);
    return connect(reinterpret_cast<const sockaddr*>(&storage), octets, limit, options);
}

void ClientConnection::note_visit() const {
    sockaddr_storage local{};
    socklen_t octets = sizeof local;
    if (options_.visits == nullptr || ::getsockname(fd_, reinterpret_cast<sockaddr*>(&local), &octets) != 0)
        return;
    if (local.ss_family == AF_INET) {
        const auto& four = reinterpret_cast<const sockaddr_in&>(local);
        options_.visits->note(boost::asio::ip::address_v4(ntohl(four.sin_addr.s_addr)), ntohs(four.sin_port));
    } else if (local.ss_family == AF_INET6) {
        const auto& six = reinterpret_cast<const sockaddr_in6&>(local);
        boost::asio::ip::address_v6::bytes_type bytes{};
        std::memcpy(bytes.data(), &six.sin6_addr, bytes.size());
        options_.visits->note(boost::asio::ip::address_v6(bytes), ntohs(six.sin6_port));
    }
}

ClientConnection::~ClientConnection() {
    ::close(fd_);
}

Result<void> ClientConnection::wait(short events, Milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    for (;;) {
        const auto left = std::chrono::ceil<Milliseconds>(end - std::chrono::steady_clock::now());
        std::array<pollfd, 2> fds{{{fd_, events, 0}, {options_.stop_fd, POLLIN, 0}}};
        const int count = ::poll(fds.data(), options_.stop_fd < 0 ? 1 : 2,
                                 left.count() > 0 ? static_cast<int>(left.count()) : 0);
        if (count > 0)
            return fds[1].revents != 0 ? Result<void>(broken("the server is stopping")) : Result<void>();
        if (count < 0 && errno != EINTR) return broken(errno_error(errno, "wait").text);
        if (left.count() <= 0) return broken("it has not answered for " + shown(limit));
    }
}

Result<void> ClientConnection::start_tls(Ssl ssl, Milliseconds limit) {
    tls_ = std::move(ssl);
    if (!tls_ || SSL_set_fd(tls_.get(), fd_) != 1) return broken(tls_error_or("no memory for TLS"));
    const auto end = std::chrono::steady_clock::now() + limit;
    for (;;) {
        ERR_clear_error();  // what stands there from before would be taken for ours
        const int result = SSL_connect(tls_.get());
        if (result == 1) return {};
        const auto left = std::chrono::ceil<Milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0) return broken("TLS was not there within " + shown(limit));
        if (auto again = after_tls(result, "start TLS", left); !again) return again;
    }
}

// Waits as TLS wants it.
Result<void> ClientConnection::after_tls(int result, std::string_view doing, Milliseconds limit) {
    switch (SSL_get_error(tls_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return wait(POLLIN, limit);
        case SSL_ERROR_WANT_WRITE:
            return wait(POLLOUT, limit);
        default:
            return broken(fmt::format("{}: {}", doing, tls_error_or("the connection broke")));
    }
}

Result<void> ClientConnection::write(std::string_view octets, Milliseconds limit) {
    while (!octets.empty()) {
        if (tls_) {
            ERR_clear_error();
            const int count = SSL_write(tls_.get(), octets.data(), static_cast<int>(octets.size()));
            if (count > 0) {
                octets.remove_prefix(static_cast<std::size_t>(count));
            } else if (auto again = after_tls(count, "write", limit); !again) {
                return again;
            }
            continue;
        }
        const ssize_t count = ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
        if (count >= 0) {
            octets.remove_prefix(static_cast<std::size_t>(count));
        } else if (errno != EAGAIN && errno != EINTR) {
            return broken(errno_error(errno, "write").text);
        } else if (auto ready = wait(POLLOUT, limit); !ready) {
            return ready;
        }
    }
    return {};
}

Result<std::string_view> ClientConnection::read(Milliseconds limit) {
    block_.resize(block_octets);
    for (;;) {
        if (tls_) {
            ERR_clear_error();
            const int count = SSL_read(tls_.get(), block_.data(), static_cast<int>(block_.size()));
            if (count > 0) return std::string_view(block_).substr(0, static_cast<std::size_t>(count));
            if (SSL_get_error(tls_.get(), count) == SSL_ERROR_ZERO_RETURN) return std::string_view();
            if (auto again = after_tls(count, "read", limit); !again) return again.error();
            continue;
        }
        const ssize_t count = ::recv(fd_, block_.data(), block_.size(), 0);
        if (count >= 0) return std::string_view(block_).substr(0, static_cast<std::size_t>(count));
        if (errno != EAGAIN && errno != EINTR) return broken(errno_error(errno, "read").text);
        if (auto ready = wait(POLLIN, limit); !ready) return ready.error();
    }
}

}  // namespace pier::net
