// One connection to one address of a mail host: connecting, TLS as it is demanded, hello, messages, QUIT. It
// drives a smtp::Client over a net::ClientConnection. It blocks, within times; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <openssl/ssl.h>

#include "net/client_connection.h"
#include "queue/dane.h"
#include "queue/transport.h"
#include "queue/transport_settings.h"
#include "smtp/client.h"

namespace pier::queue {

struct TlsDemand {
    enum class Kind {
        never,
        opportunistic,  // if it is offered, whoever it is
        required,       // whoever it is
        certificate,    // of an authority, for the host's name: MTA-STS, smarthost
        dane,
    };
    Kind kind = Kind::opportunistic;
    bool implicit = false;  // from the first octet on
    DaneDemand dane;
    std::string domain;  // that the mail is for: DANE allows certificates for it
    // It is known to be the domain's mail host, by DNSSEC or a policy: a certificate for its name shows more
    // than that it is itself (RFC 8689 §4.2.1).
    bool host_proven = false;
    std::string word;  // for the log: "dane", "sts"; empty
};

struct ServerAddress {
    std::string host;  // empty: an address literal
    IpAddress address;
    std::uint16_t port = 25;
    std::string text() const;  // "mx.example.org [192.0.2.1]"
};

// For all connections: TLS 1.2 and up, DANE possible, the authorities. `invalid`: the file cannot be used.
struct FreeContext {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using ClientTls = std::unique_ptr<SSL_CTX, FreeContext>;
Result<ClientTls> make_client_tls(const std::string& ca_file);

class ServerSession {
  public:
    // What stays the same from session to session; all outlive the session.
    struct Around {
        const TransportSettings& settings;
        SSL_CTX* tls = nullptr;
        int stop_fd = -1;
        const std::optional<smtp::Client::Login>& login;
    };

    ServerSession(const Around& around, ServerAddress server, TlsDemand demand);

    struct Trouble {
        Outcome outcome;   // deferred, or failed where the server takes no mail at all
        bool tls = false;  // TLS went wrong: without it, it might go
    };
    // Absent: the server waits for messages.
    std::optional<Trouble> open();

    struct Performed {
        std::vector<Outcome> outcomes;  // one for each recipient
        // The connection broke before the server was responsible for anything, and nobody was refused:
        // another server, or another connection, may take it now.
        bool try_elsewhere = false;
    };
    // The job's body has been verified.
    Performed perform(const Job& job);
    std::string server() const { return server_.text(); }
    bool good() const { return !failed_; }  // another message may follow
    std::size_t messages_max() const;       // as the server and we have it
    void quit();

  private:
    using Action = smtp::Client::Action;
    Action step();
    void read();
    void write(std::string_view octets);
    Result<void> handshake();
    void start_tls();
    Result<net::ClientConnection::Ssl> make_ssl();
    bool is_verified() const;
    void send_chunk(const Job& job);
    std::vector<smtp::Reply> transact(const Job& job, std::size_t first, std::size_t count);
    std::chrono::milliseconds limit() const;
    Outcome outcome_of(const smtp::Reply& reply) const;

    const Around around_;
    const ServerAddress server_;
    const TlsDemand demand_;
    std::unique_ptr<net::ClientConnection> connection_;
    std::unique_ptr<smtp::Client> client_;
    std::optional<smtp::Client::Failed> failed_;
    std::string tls_text_;
    std::chrono::steady_clock::time_point reply_end_{};  // when the reply that is waited for must be there
    std::size_t replies_before_ = 0;                     // it
    bool waiting_ = false;
    std::string chunk_;
    std::uint64_t sent_octets_ = 0;  // of the body
    bool sent_end_ = false;          // the last dot is on its way
    bool unreadable_ = false;        // the body is, so no other server would get it either
};

}  // namespace pier::queue
