#include "limit/loop.h"

#include <array>
#include <cerrno>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "limit/connection.h"

namespace limit {
namespace {

constexpr std::size_t buffer_octets = 256 * 1024;
constexpr int backlog = 4096;

void check(bool good, const char* what) {
    if (!good) throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

Loop::Loop(Mail& all_mail, SSL_CTX* context, const Ports& ports)
    : mail(all_mail),
      tls(context),
      buffer(buffer_octets),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      woken_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    check(epoll_ >= 0 && woken_ >= 0, "epoll");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = this;
    check(::epoll_ctl(epoll_, EPOLL_CTL_ADD, woken_, &event) == 0, "epoll_ctl");
    listen(ports.pop3, Listener::For::pop3);
    if (tls != nullptr) listen(ports.pop3s, Listener::For::pop3s);
    listen(ports.lmtp, Listener::For::lmtp);
}

void Loop::listen(std::uint16_t port, Listener::For purpose) {
    Listener& listener = listeners_[listening_++];
    listener.purpose = purpose;
    listener.descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener.descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(listener.descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    // What is accepted inherits it.
    ::setsockopt(listener.descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(::bind(listener.descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
          "bind");
    check(::listen(listener.descriptor, backlog) == 0, "listen");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &listener;
    check(::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener.descriptor, &event) == 0, "epoll_ctl");
}

void Loop::accept(const Listener& listener) {
    const int descriptor = ::accept4(listener.descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) return;
    const auto protocol =
        listener.purpose == Listener::For::lmtp ? Connection::Protocol::lmtp : Connection::Protocol::pop3;
    auto* connection = new Connection(*this, descriptor, protocol, listener.purpose == Listener::For::pop3s);
    watch(descriptor, *connection, EPOLLIN | EPOLLRDHUP | EPOLLET, EPOLL_CTL_ADD);
    settle(*connection, connection->on_events(0));
}

void Loop::watch(int descriptor, Connection& connection, std::uint32_t events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &connection;
    check(::epoll_ctl(epoll_, operation, descriptor, &event) == 0, "epoll_ctl");
}

void Loop::settle(Connection& connection, bool goes_on) {
    if (!goes_on) delete &connection;
}

void Loop::post_delivered(Connection& connection) {
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        first = delivered_.empty();
        delivered_.push_back(&connection);
    }
    const std::uint64_t one = 1;
    if (first) check(::write(woken_, &one, sizeof one) == sizeof one, "eventfd");
}

void Loop::take_delivered() {
    std::uint64_t count = 0;
    if (::read(woken_, &count, sizeof count) < 0) return;
    std::vector<Connection*> delivered;
    {
        const std::lock_guard lock(mutex_);
        delivered.swap(delivered_);
    }
    for (Connection* connection : delivered)
        settle(*connection, connection->delivered());
}

void Loop::run() {
    std::array<epoll_event, 256> events;
    while (true) {
        const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
        bool woken = false;
        for (int i = 0; i < count; ++i) {
            void* who = events[static_cast<std::size_t>(i)].data.ptr;
            if (who == this) {
                woken = true;
            } else if (who >= &listeners_[0] && who < &listeners_[listening_]) {
                accept(*static_cast<Listener*>(who));
            } else {
                auto& connection = *static_cast<Connection*>(who);
                settle(connection, connection.on_events(events[static_cast<std::size_t>(i)].events));
            }
        }
        // Last: it may end a connection that `events` still names.
        if (woken) take_delivered();
    }
}

}  // namespace limit
