#include "filter/connection.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <boost/asio/ip/address.hpp>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "smtp/path.h"

namespace pier::filter {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

struct Socket {
    int fd = -1;
    Socket() = default;
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() {
        if (fd >= 0) ::close(fd);
    }
};

Error failed(std::string_view doing, int reason) {
    return {ErrorKind::io, fmt::format("cannot {}: {}", doing, std::strerror(reason))};
}

// Until the socket can be read or written.
Result<void> wait_for(int fd, short events, Deadline deadline, std::string_view doing) {
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0) return Error{ErrorKind::io, fmt::format("no time was left to {}", doing)};
        pollfd one{fd, events, 0};
        const int ready = ::poll(&one, 1, static_cast<int>(left.count()) + 1);
        if (ready > 0) return {};
        if (ready < 0 && errno != EINTR) return failed(doing, errno);
    }
}

struct Address {
    sockaddr_storage octets{};
    socklen_t size = 0;
    std::string host;
};

// "/run/rspamd.sock", "127.0.0.1:11333", "[::1]:11333"
Result<Address> parse_server(const std::string& server) {
    Address out;
    if (server.starts_with('/')) {
        sockaddr_un path{};
        path.sun_family = AF_UNIX;
        if (server.size() >= sizeof path.sun_path)
            return Error{ErrorKind::invalid, "the path of the socket is too long"};
        server.copy(path.sun_path, sizeof path.sun_path - 1);
        std::memcpy(&out.octets, &path, sizeof path);
        out.size = sizeof path;
        out.host = "localhost";
        return out;
    }
    const std::size_t colon = server.rfind(':');
    const Error wrong{ErrorKind::invalid,
                      fmt::format("\"{}\" is no address of rspamd: write the path of a Unix socket, or as in "
                                  "127.0.0.1:11333",
                                  server)};
    if (colon == server.npos) return wrong;
    std::string_view host = std::string_view(server).substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(std::string(host), error);
    const auto port = smtp::parse_number(std::string_view(server).substr(colon + 1));
    if (error || !port || *port == 0 || *port > 65535) return wrong;
    if (!address.is_loopback())
        return Error{ErrorKind::invalid,
                     fmt::format("{} is another machine, and mail would go there in clear: rspamd has to run "
                                 "on this one",
                                 host)};
    const auto network_port = htons(static_cast<std::uint16_t>(*port));
    if (address.is_v4()) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = network_port;
        v4.sin_addr.s_addr = htonl(address.to_v4().to_uint());
        std::memcpy(&out.octets, &v4, sizeof v4);
        out.size = sizeof v4;
    } else {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = network_port;
        const auto bytes = address.to_v6().to_bytes();
        std::memcpy(&v6.sin6_addr, bytes.data(), bytes.size());
        std::memcpy(&out.octets, &v6, sizeof v6);
        out.size = sizeof v6;
    }
    out.host = server;
    return out;
}

Result<void> connect(Socket& socket, const Address& address, Deadline deadline) {
    socket.fd = ::socket(address.octets.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket.fd < 0) return failed("make a socket", errno);
    if (::connect(socket.fd, reinterpret_cast<const sockaddr*>(&address.octets), address.size) == 0)
        return {};
    if (errno != EINPROGRESS) return failed("connect", errno);
    if (auto ready = wait_for(socket.fd, POLLOUT, deadline, "connect"); !ready) return ready;
    int reason = 0;
    socklen_t size = sizeof reason;
    if (::getsockopt(socket.fd, SOL_SOCKET, SO_ERROR, &reason, &size) != 0) reason = errno;
    if (reason != 0) return failed("connect", reason);
    return {};
}

Result<void> send_all(int fd, std::string_view octets, Deadline deadline) {
    while (!octets.empty()) {
        const ssize_t sent = ::send(fd, octets.data(), octets.size(), MSG_NOSIGNAL);
        if (sent > 0) {
            octets.remove_prefix(static_cast<std::size_t>(sent));
            continue;
        }
        if (sent < 0 && errno != EAGAIN && errno != EINTR) return failed("send the message", errno);
        if (auto ready = wait_for(fd, POLLOUT, deadline, "send the message"); !ready) return ready;
    }
    return {};
}

Result<void> send_message(int fd, std::uint64_t octets, const Filter::Read& read, Deadline deadline) {
    std::array<char, 65536> block;
    for (std::uint64_t at = 0; at < octets;) {
        const auto count = read(at, block);
        if (!count) return count.error();
        if (*count == 0) return Error{ErrorKind::io, "the message is shorter than it was"};
        const auto wanted = std::min<std::uint64_t>(*count, octets - at);
        if (auto sent = send_all(fd, {block.data(), static_cast<std::size_t>(wanted)}, deadline); !sent)
            return sent;
        at += wanted;
    }
    return {};
}

Result<Verdict> receive(int fd, Deadline deadline) {
    std::string octets;
    std::array<char, 65536> block;
    for (bool at_end = false;;) {
        auto reply = parse_http(octets, at_end);
        if (!reply) return Error{ErrorKind::io, reply.error().text};
        if (*reply) {
            constexpr unsigned ok = 200;
            if ((*reply)->status == ok) return parse_verdict((*reply)->body);
            return Error{ErrorKind::io, fmt::format("it answers with status {}", (*reply)->status)};
        }
        const ssize_t got = ::recv(fd, block.data(), block.size(), 0);
        if (got == 0) {
            at_end = true;
        } else if (got > 0) {
            octets.append(block.data(), static_cast<std::size_t>(got));
        } else if (errno == EAGAIN || errno == EINTR) {
            if (auto ready = wait_for(fd, POLLIN, deadline, "get an answer"); !ready) return ready.error();
        } else {
            return failed("read the answer", errno);
        }
    }
}

}  // namespace

Result<void> check_server(const std::string& server) {
    const auto address = parse_server(server);
    if (!address) return address.error();
    return {};
}

Result<Verdict> ask_rspamd(const std::string& server, const Question& question, std::uint64_t octets,
                           const Filter::Read& read, Deadline deadline) {
    const auto address = parse_server(server);
    if (!address) return address.error();
    Socket socket;
    if (auto connected = connect(socket, *address, deadline); !connected) return connected.error();
    const std::string head = request_head(question, octets, address->host);
    if (auto sent = send_all(socket.fd, head, deadline); !sent) return sent.error();
    if (auto sent = send_message(socket.fd, octets, read, deadline); !sent) return sent.error();
    return receive(socket.fd, deadline);
}

}  // namespace pier::filter
