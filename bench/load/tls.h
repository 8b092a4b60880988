// TLS for all connections: one context, and the last session of each connection for resumption. Certificates
// are not verified: the server under load is our own, and what is measured is the server.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <openssl/ssl.h>

namespace load {

class Tls {
  public:
    // With `resume`, the connection that made a session offers it at its next handshake. With `small`,
    // connections take little memory while they rest, and more time when they do not.
    Tls(std::size_t connections, bool resume, bool small);

    // A client's end for connection number `slot`, on an open socket. Owned by the caller.
    SSL* open(std::size_t slot, int descriptor);

    void count_handshake(SSL* ssl);

    std::uint64_t full_handshakes = 0, resumed_handshakes = 0;
    std::string version, cipher;  // of the last handshake

  private:
    static int keep_session(SSL* ssl, SSL_SESSION* session);

    struct Freed {
        void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
        void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
    };
    struct Slot {
        std::unique_ptr<SSL_SESSION, Freed> session;
    };
    std::unique_ptr<SSL_CTX, Freed> context_;
    std::vector<Slot> slots_;
    bool resume_;
};

// What OpenSSL's error queue says, and empties it.
std::string openssl_error_text();

}  // namespace load
