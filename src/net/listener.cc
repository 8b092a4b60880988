#include "net/listener.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

namespace pier::net {
namespace {

constexpr int backlog = 4096;
constexpr int accepts_in_a_row_max = 64;

union SocketAddress {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
    sockaddr_storage storage;
};

socklen_t to_sockaddr(const Endpoint& endpoint, SocketAddress& out) {
    std::memset(&out, 0, sizeof out);
    if (endpoint.is_unix()) {
        out.local.sun_family = AF_UNIX;
        endpoint.unix_path.copy(out.local.sun_path, sizeof out.local.sun_path - 1);
        return sizeof out.local;
    }
    if (endpoint.address.is_v4()) {
        out.v4.sin_family = AF_INET;
        out.v4.sin_port = htons(endpoint.port);
        const auto bytes = endpoint.address.to_v4().to_bytes();
        std::memcpy(&out.v4.sin_addr, bytes.data(), bytes.size());
        return sizeof out.v4;
    }
    out.v6.sin6_family = AF_INET6;
    out.v6.sin6_port = htons(endpoint.port);
    const auto v6 = endpoint.address.to_v6();
    const auto bytes = v6.to_bytes();
    std::memcpy(&out.v6.sin6_addr, bytes.data(), bytes.size());
    out.v6.sin6_scope_id = static_cast<std::uint32_t>(v6.scope_id());
    return sizeof out.v6;
}

Endpoint from_sockaddr(const SocketAddress& in, socklen_t length) {
    Endpoint endpoint;
    if (in.any.sa_family == AF_INET) {
        boost::asio::ip::address_v4::bytes_type bytes;
        std::memcpy(bytes.data(), &in.v4.sin_addr, bytes.size());
        endpoint.address = boost::asio::ip::address_v4(bytes);
        endpoint.port = ntohs(in.v4.sin_port);
    } else if (in.any.sa_family == AF_INET6) {
        boost::asio::ip::address_v6::bytes_type bytes;
        std::memcpy(bytes.data(), &in.v6.sin6_addr, bytes.size());
        const boost::asio::ip::address_v6 v6(bytes, in.v6.sin6_scope_id);
        endpoint.address = v6;
        if (v6.is_v4_mapped())
            endpoint.address = boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, v6);
        endpoint.port = ntohs(in.v6.sin6_port);
    } else {
        const std::size_t header = offsetof(sockaddr_un, sun_path);
        if (length > header && in.local.sun_path[0] != '\0') endpoint.unix_path = in.local.sun_path;
        if (endpoint.unix_path.empty()) endpoint.unix_path = "peer";
    }
    return endpoint;
}

Result<int> listen_tcp(const Endpoint& where, bool share_port) {
    SocketAddress address;
    const socklen_t length = to_sockaddr(where, address);
    const int fd = ::socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno_error(errno, "make a socket for " + where.text());
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (share_port) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    // Connections inherit it: replies are gathered before they are written, nothing is to wait for more.
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // "::" means IPv6 alone, so that "0.0.0.0" and "::" can both be listed.
    if (where.address.is_v6()) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (::bind(fd, &address.any, length) == 0 && ::listen(fd, backlog) == 0) return fd;
    const int error_number = errno;
    ::close(fd);
    Error error = errno_error(error_number, "listen on " + where.text());
    if (error_number == EADDRINUSE)
        error.text += fmt::format(
            ". Another program holds the port: `ss -ltnp sport = :{}` shows which; stop it or "
            "choose another port.",
            where.port);
    if (error_number == EACCES) error.text += ". Ports below 1024 need root or CAP_NET_BIND_SERVICE.";
    if (error_number == EADDRNOTAVAIL)
        error.text += ". This machine does not have the address: `ip addr` lists those it has.";
    return error;
}

}  // namespace

ListenSockets& ListenSockets::operator=(ListenSockets&& other) noexcept {
    std::swap(fds_, other.fds_);
    std::swap(local_, other.local_);
    std::swap(owns_path_, other.owns_path_);
    return *this;
}

ListenSockets::~ListenSockets() {
    if (owns_path_) ::unlink(local_.unix_path.c_str());
    for (const int fd : fds_)
        ::close(fd);
}

Result<ListenSockets> ListenSockets::bind(const Endpoint& where, std::size_t loops, unsigned unix_mode) {
    ListenSockets sockets;
    sockets.local_ = where;
    const auto bound = where.is_unix() ? sockets.bind_unix(loops, unix_mode) : sockets.bind_tcp(loops);
    if (!bound) return bound.error();
    return sockets;
}

Result<void> ListenSockets::bind_tcp(std::size_t loops) {
    // With SO_REUSEPORT a second Pier would quietly share the port with the first; a socket without it shows
    // who is there.
    if (local_.port != 0) {
        const auto probe = listen_tcp(local_, false);
        if (!probe) return probe.error();
        ::close(*probe);
    }
    for (std::size_t i = 0; i < loops; ++i) {
        const auto fd = listen_tcp(local_, true);
        if (!fd) return fd.error();
        fds_.push_back(*fd);
        if (local_.port == 0) {
            SocketAddress address;
            socklen_t length = sizeof address;
            ::getsockname(*fd, &address.any, &length);
            local_.port = from_sockaddr(address, length).port;
        }
    }
    return {};
}

Result<void> ListenSockets::bind_unix(std::size_t loops, unsigned mode) {
    SocketAddress address;
    if (local_.unix_path.size() >= sizeof address.local.sun_path)
        return Error{ErrorKind::invalid, fmt::format("the socket path {} is too long: {} octets at most",
                                                     local_.unix_path, sizeof address.local.sun_path - 1)};
    const socklen_t length = to_sockaddr(local_, address);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno_error(errno, "make a socket for " + local_.text());
    fds_.push_back(fd);
    // A server that died leaves its socket's file behind; one that lives answers.
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const bool alive = ::connect(probe, &address.any, length) == 0 || errno == EAGAIN;
    ::close(probe);
    if (alive)
        return Error{ErrorKind::busy,
                     fmt::format("another program listens on {} already; stop it first", local_.text())};
    struct stat status {};
    if (::lstat(local_.unix_path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode))
        ::unlink(local_.unix_path.c_str());
    if (::bind(fd, &address.any, length) != 0) return errno_error(errno, "listen on " + local_.text());
    owns_path_ = true;
    // Nobody can connect before listen(2), so the mode is right by then. umask(2) would do it too, but it is
    // the whole process's: a file that another thread makes in that moment, as the store's index does, could
    // not be opened again.
    if (::chmod(local_.unix_path.c_str(), mode) != 0)
        return errno_error(errno, "set the mode of " + local_.text());
    if (::listen(fd, backlog) != 0) return errno_error(errno, "listen on " + local_.text());
    while (fds_.size() < loops) {
        const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (copy < 0) return errno_error(errno, "listen on " + local_.text());
        fds_.push_back(copy);
    }
    return {};
}

Result<ListenSockets> ListenSockets::adopt(int fd, std::size_t loops) {
    ListenSockets sockets;
    SocketAddress address;
    socklen_t length = sizeof address;
    if (::getsockname(fd, &address.any, &length) != 0) return errno_error(errno, "take a socket over");
    sockets.local_ = from_sockaddr(address, length);
    const int on = 1;  // as in listen_tcp()
    if (!sockets.local_.is_unix()) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    sockets.fds_.push_back(fd);
    while (sockets.fds_.size() < loops) {
        const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (copy < 0) return errno_error(errno, "take a socket over");
        sockets.fds_.push_back(copy);
    }
    return sockets;
}

Acceptor::Acceptor(EventLoop& loop, int listen_fd, OnAccept on_accept, std::string name)
    : loop_(loop),
      fd_(::fcntl(listen_fd, F_DUPFD_CLOEXEC, 0)),
      on_accept_(std::move(on_accept)),
      name_(std::move(name)) {}

void Acceptor::start() {
    if (fd_ < 0) return;
    if (loop_.watch(fd_, EPOLLIN, *this)) return;
    say_exhausted(std::strerror(errno), "tried again each second");
    loop_.post_at_sweep([self = shared_from_this()] { self->start(); });
}

void Acceptor::stop() {
    if (fd_ < 0) return;
    // Others hold the socket too: closing our descriptor alone would leave it in the epoll set.
    loop_.unwatch(fd_, *this);
    ::close(std::exchange(fd_, -1));
}

// Until deadlines are next looked at. Connections that end meanwhile give their descriptors back.
void Acceptor::pause() {
    loop_.unwatch(fd_, *this);
    loop_.post_at_sweep([self = shared_from_this()] { self->start(); });
}

void Acceptor::say_exhausted(const char* reason, const char* hint) {
    const auto now = loop_.now();
    if (said_exhausted_ && now - *said_exhausted_ < std::chrono::minutes(1)) return;
    said_exhausted_ = now;
    log::error("accept.failed", {{"listener", name_}, {"reason", reason}, {"hint", hint}});
}

void Acceptor::on_events(std::uint32_t) {
    // Not without end: connections that exist want their turn too.
    for (int i = 0; i < accepts_in_a_row_max && fd_ >= 0; ++i) {
        SocketAddress address;
        socklen_t length = sizeof address;
        const int fd = ::accept4(fd_, &address.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            on_accept_(loop_, fd, from_sockaddr(address, length));
            continue;
        }
        const int error_number = errno;
        if (error_number == EAGAIN || error_number == EWOULDBLOCK) return;
        if (error_number == EINTR || error_number == ECONNABORTED)
            continue;  // accept(2): concerns that client alone
        say_exhausted(std::strerror(error_number),
                      "out of descriptors: raise LimitNOFILE or lower limits.connections_max");
        return pause();
    }
}

}  // namespace pier::net
