#include "admin/client.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/caller.h"
#include "admin/protocol.h"

namespace pier::admin {

namespace {

constexpr std::size_t read_octets = 64 * 1024;

Error connection_error(int error_number, const std::string& path) {
    switch (error_number) {
        case ENOENT:
        case ECONNREFUSED:
            return {ErrorKind::not_found, fmt::format("no server runs at {}", path)};
        case EACCES:
        case EPERM:
            return {ErrorKind::io,
                    fmt::format("the management socket {} is closed to this user; run the command as "
                                "root or as the user of the server (sudo -u pier …)",
                                path)};
        default:
            return errno_error(error_number, "connect to the management socket " + path);
    }
}

Error broken(int error_number, std::string_view doing) {
    if (error_number == EAGAIN)
        return {ErrorKind::io,
                "the server gave no answer in time; look into its log ('pier log tail', journalctl -u pier)"};
    Error error = errno_error(error_number, doing);
    error.kind = ErrorKind::io;
    return error;
}

}  // namespace

Result<Client> Client::connect(const std::string& path, std::chrono::milliseconds patience) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return Error{ErrorKind::invalid,
                     fmt::format("the path of the management socket has {} characters, and must "
                                 "have 1 to {}",
                                 path.size(), sizeof address.sun_path - 1)};
    std::memcpy(address.sun_path, path.data(), path.size());

    Client client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (client.fd_ < 0) return errno_error(errno, "make a socket");
    const timeval wait{.tv_sec = patience.count() / 1000, .tv_usec = patience.count() % 1000 * 1000};
    setsockopt(client.fd_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(client.fd_, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (::connect(client.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return connection_error(errno, path);
    return client;
}

Client::Client(Client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), received_(std::move(other.received_)) {}

Client& Client::operator=(Client&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(received_, other.received_);
    return *this;
}

Client::~Client() {
    if (fd_ >= 0) close(fd_);
}

Result<void> Client::send(std::string_view octets) const {
    while (!octets.empty()) {
        const ssize_t sent = ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return broken(errno, "send to the server");
        octets.remove_prefix(static_cast<std::size_t>(sent));
    }
    return {};
}

Result<std::string> Client::receive_line() {
    std::string block(read_octets, '\0');
    std::size_t searched = 0;
    for (;;) {
        if (const std::size_t end = received_.find('\n', searched); end != std::string::npos) {
            std::string line = received_.substr(0, end);
            received_.erase(0, end + 1);
            return line;
        }
        searched = received_.size();
        if (received_.size() > answer_line_octets_max)
            return Error{ErrorKind::io, "the server's answer is too long"};
        const ssize_t got = recv(fd_, block.data(), block.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return broken(errno, "read the server's answer");
        if (got == 0)
            return Error{ErrorKind::io,
                         "the server closed the connection without an answer; look into its log"};
        received_.append(block, 0, static_cast<std::size_t>(got));
    }
}

Result<boost::json::value> Client::call(std::string_view method, const boost::json::object& params,
                                        std::string_view body) {
    const std::string line = write_request({std::string(method), params, body.size(), for_whom()});
    if (line.size() > request_line_octets_max)
        return Error{ErrorKind::invalid, fmt::format("the parameters make a request longer than {} octets",
                                                     request_line_octets_max)};
    auto sent = send(line);
    if (sent) sent = send(body);
    // A server that refuses a request answers and closes before it has read all of it: its words come first.
    const auto answer = receive_line();
    if (!answer) return sent ? answer.error() : sent.error();
    return parse_answer(*answer);
}

}  // namespace pier::admin
