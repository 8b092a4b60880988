// A TlsStream and a client of it, without threads: each does a step when it is told to. What the two say goes
// over a socket pair that keeps packets apart, so a test sees how many calls of send(2) the server made.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/ssl.h>

#include "net/tls.h"
#include "net/tls_stream.h"

namespace pier::net::test {

struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using Session = std::unique_ptr<SSL_SESSION, FreeSsl>;

// What all clients of a test have in common; keeps the last ticket that came.
class Clients {
  public:
    explicit Clients(int version);
    SSL* make();
    SSL_CTX* context() { return context_.get(); }
    Session take_ticket() { return std::move(ticket_); }
    int tickets = 0;

  private:
    static int keep_ticket(SSL* ssl, SSL_SESSION* session);
    std::unique_ptr<SSL_CTX, FreeSsl> context_;
    Session ticket_;
};

// One connection.
class Pair {
  public:
    // With `session` the client offers its ticket.
    Pair(const Tls& tls, Clients& clients, SSL_SESSION* session = nullptr);
    ~Pair();
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;

    // Both sides until neither has more to say; true: both are done. What the server holds back stays with
    // it.
    bool handshake();
    bool resumed() { return SSL_session_reused(client_.get()) == 1; }

    void client_says(std::string_view octets);
    // Sends what the client has said, in pieces of `octets_max`.
    enum class Spoil { nothing, last_octet };
    void client_sends(std::size_t octets_max = 65536, Spoil spoil = Spoil::nothing);
    // Gives the client what the server has sent; how many packets that was.
    int client_receives();
    std::string client_reads();
    void client_starts() { SSL_do_handshake(client_.get()); }
    bool client_finished() { return SSL_is_init_finished(client_.get()) == 1; }
    void client_closes() { SSL_shutdown(client_.get()); }
    SSL* client() { return client_.get(); }
    Session client_session() { return Session(SSL_get1_session(client_.get())); }
    void client_changes_keys(int kind) { SSL_key_update(client_.get(), kind); }
    bool client_used_a_key_exchange();
    bool client_saw_close_notify() { return (SSL_get_shutdown(client_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }

    void server_writes(std::string_view octets);
    // All that has come; ends with `last`, which is the step that brought nothing.
    std::string server_reads();
    TlsStream::Step last = TlsStream::Step::done;

    TlsStream& server() { return *server_; }
    std::array<char, 16384> lent{};

  private:
    bool server_has_packet();
    int server_fd_ = -1, client_fd_ = -1;
    std::unique_ptr<SSL, FreeSsl> client_;
    std::unique_ptr<TlsStream> server_;
};

}  // namespace pier::net::test
