// One epoll loop with its listening sockets (SO_REUSEPORT) and its connections; one thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include <openssl/ssl.h>

#include "limit/mail.h"

namespace limit {

class Connection;

struct Ports {
    std::uint16_t pop3 = 0, pop3s = 0, lmtp = 0;
};

class Loop {
  public:
    // Listens when it returns. `tls` may be null.
    Loop(Mail& mail, SSL_CTX* tls, const Ports& ports);
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    [[noreturn]] void run();

    // From any thread: `connection` goes on with delivered() in this loop.
    void post_delivered(Connection& connection);

    void watch(int descriptor, Connection& connection, std::uint32_t events, int operation);

    Mail& mail;
    SSL_CTX* const tls;
    std::vector<char> buffer;  // for reading, by one connection at a time

  private:
    struct Listener {
        int descriptor = -1;
        enum class For { pop3, pop3s, lmtp } purpose = For::pop3;
    };
    void listen(std::uint16_t port, Listener::For purpose);
    void accept(const Listener& listener);
    void take_delivered();
    void settle(Connection& connection, bool goes_on);

    int epoll_, woken_;
    Listener listeners_[3];
    std::size_t listening_ = 0;
    std::mutex mutex_;
    std::vector<Connection*> delivered_;
};

}  // namespace limit
