#include "load/stream.h"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load/stop.h"

namespace load {
namespace {

constexpr std::size_t buffer_octets_first = 2048;  // of a connection that has little to say
constexpr std::size_t buffer_octets = 128 * 1024;  // of others; also the longest line
constexpr std::size_t room_octets_min = 32 * 1024;

}  // namespace

Endpoint resolve(const std::string& host, std::uint16_t port, const std::vector<std::string>& from) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int status = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (status != 0) throw Stop("no address for " + host + ": " + ::gai_strerror(status));
    Endpoint endpoint;
    std::memcpy(&endpoint.address, found->ai_addr, found->ai_addrlen);
    endpoint.address_octets = found->ai_addrlen;
    ::freeaddrinfo(found);
    for (const std::string& text : from) {
        sockaddr_in& source = endpoint.from.emplace_back();
        source.sin_family = AF_INET;
        if (::inet_pton(AF_INET, text.c_str(), &source.sin_addr) != 1)
            throw Stop("--from " + text + ": no IPv4 address");
    }
    return endpoint;
}

Stream::Stream(Loop& loop, const Endpoint& endpoint, Tls* tls, std::size_t slot)
    : loop_(loop), endpoint_(endpoint), tls_(tls), slot_(slot) {
    loop_.add(*this);
}
Stream::~Stream() {
    loop_.remove(*this);
    close();
}

void Stream::stop(const std::string& what) const {
    throw Stop("connection " + std::to_string(slot_ + 1) + " (" + name_ + "), " + doing_ + ": " + what);
}

void Stream::Wait::await_suspend(std::coroutine_handle<> waiting) const {
    stream.waiting_ = waiting;
    stream.waiting_for_ = flag;
    stream.waiting_since_ = SteadyClock::now();
}

void Stream::on_events(std::uint32_t epoll_events) {
    if (epoll_events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) hung_up_ = true;
    if (epoll_events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) readable_ = true;
    if (epoll_events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) writable_ = true;
    if (waiting_ && this->*waiting_for_) std::exchange(waiting_, nullptr).resume();
}

void Stream::check_wait(SteadyClock::time_point longest_ago) {
    if (waiting_ && waiting_since_ < longest_ago) stop("no answer in time; see --timeout-seconds");
}

Task<> Stream::connect() {
    close();
    doing_ = "connecting";
    descriptor_ = ::socket(endpoint_.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor_ < 0) stop(std::string("no socket: ") + std::strerror(errno));
    const int on = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!endpoint_.from.empty()) {
        // The port is chosen when the other end is known, so that each pair of addresses has all ports.
        ::setsockopt(descriptor_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        const sockaddr_in& from = endpoint_.from[slot_ % endpoint_.from.size()];
        if (::bind(descriptor_, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0)
            stop(std::string("--from: ") + std::strerror(errno));
    }
    const auto* address = reinterpret_cast<const sockaddr*>(&endpoint_.address);
    const int outcome = ::connect(descriptor_, address, endpoint_.address_octets);
    if (outcome != 0 && errno != EINPROGRESS) stop(std::strerror(errno));
    loop_.watch(descriptor_, *this);
    co_await writable();
    int error = 0;
    socklen_t error_octets = sizeof error;
    ::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &error_octets);
    if (error != 0) stop(std::strerror(error));
}

void Stream::close() {
    if (ssl_) {
        // Without a close_notify OpenSSL would count the session as broken and never resume it.
        SSL_shutdown(ssl_);
        ERR_clear_error();
        SSL_free(ssl_);
        ssl_ = nullptr;
    }
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
    readable_ = writable_ = hung_up_ = tls_wants_write_ = false;
    begin_ = end_ = 0;
}

Task<> Stream::start_tls() {
    doing_ = "TLS handshake";
    if (begin_ != end_) stop("the server sent something behind its answer to STARTTLS");
    ssl_ = tls_->open(slot_, descriptor_);
    while (true) {
        ERR_clear_error();
        const Step step = tls_step(SSL_do_handshake(ssl_));
        if (step == Step::done) break;
        if (step == Step::end) stop("the server closed the connection");
        co_await either();
    }
    tls_->count_handshake(ssl_);
}

// What an SSL_ function's outcome means; clears the flag of what OpenSSL has found to be missing.
Stream::Step Stream::tls_step(int outcome) {
    if (outcome > 0) return Step::done;
    switch (SSL_get_error(ssl_, outcome)) {
        case SSL_ERROR_WANT_READ:
            readable_ = tls_wants_write_ = false;
            return Step::again;
        case SSL_ERROR_WANT_WRITE:
            writable_ = false;
            tls_wants_write_ = true;
            return Step::again;
        case SSL_ERROR_ZERO_RETURN:
            return Step::end;
        case SSL_ERROR_SYSCALL:
            stop(errno != 0 ? std::strerror(errno) : "the connection was cut");
        default: {
            const bool cut = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
            const std::string text = openssl_error_text();
            if (cut) return Step::end;
            stop("TLS: " + text);
        }
    }
}

void Stream::make_room() {
    if (begin_ == end_) {
        begin_ = end_ = 0;
    } else if (buffer_.size() - end_ < room_octets_min && begin_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (buffer_.size() < buffer_octets && (filled_ || end_ == buffer_.size())) {
        buffer_.resize(buffer_.empty() ? buffer_octets_first : buffer_octets);
    }
    if (end_ == buffer_.size()) stop("the server sends a line that never ends");
}

Stream::Step Stream::try_read() {
    make_room();
    const std::size_t room = buffer_.size() - end_;
    if (ssl_) {
        ERR_clear_error();
        std::size_t got = 0;
        const Step step = tls_step(SSL_read_ex(ssl_, buffer_.data() + end_, room, &got));
        end_ += got;
        filled_ = got == room;
        return step;
    }
    const ssize_t got = ::recv(descriptor_, buffer_.data() + end_, room, 0);
    if (got > 0) {
        end_ += static_cast<std::size_t>(got);
        filled_ = static_cast<std::size_t>(got) == room;
        // A short read means that the socket is empty, and the next octets make a new edge (epoll(7)); but a
        // FIN that was reported together with them does not.
        if (static_cast<std::size_t>(got) < room && !hung_up_) readable_ = false;
        return Step::done;
    }
    if (got == 0) return Step::end;
    if (errno != EAGAIN && errno != EINTR) stop(std::strerror(errno));
    if (errno == EAGAIN) readable_ = false;
    return Step::again;
}

Task<bool> Stream::fill() {
    Step step = Step::again;
    // OpenSSL may hold octets that epoll knows nothing of.
    if (ssl_ && SSL_has_pending(ssl_)) step = try_read();
    while (step == Step::again) {
        if (ssl_) {
            co_await either();
        } else {
            co_await readable();
        }
        step = try_read();
    }
    co_return step == Step::done;
}

Stream::Step Stream::try_write(std::string_view octets, std::size_t& written) {
    if (ssl_) {
        ERR_clear_error();
        return tls_step(SSL_write_ex(ssl_, octets.data(), octets.size(), &written));
    }
    const ssize_t sent = ::send(descriptor_, octets.data(), octets.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
        written = static_cast<std::size_t>(sent);
        return Step::done;
    }
    if (errno != EAGAIN && errno != EINTR) stop(std::strerror(errno));
    if (errno == EAGAIN) writable_ = false;
    return Step::again;
}

Task<> Stream::write(std::string_view octets) {
    while (!octets.empty()) {
        std::size_t written = 0;
        const Step step = try_write(octets, written);
        if (step == Step::end) stop("the server closed the connection");
        octets.remove_prefix(written);
        if (step == Step::again) {
            if (ssl_) {
                co_await either();
            } else {
                co_await writable();
            }
        }
    }
}

void Stream::rest() {
    if (begin_ != end_) stop("the server says more than it was asked");
    begin_ = end_ = 0;
    filled_ = false;
    std::vector<char>().swap(buffer_);
}

std::optional<std::string_view> Stream::read_line() {
    const std::string_view text = input();
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    if (end == 0 || text[end - 1] != '\r') stop("a line ends without CR");
    consume(end + 1);
    return text.substr(0, end - 1);
}

Task<std::string_view> Stream::line() {
    while (true) {
        if (const auto whole = read_line()) co_return *whole;
        const bool more = co_await fill();
        if (!more) stop("the server closed the connection");
    }
}

}  // namespace load
