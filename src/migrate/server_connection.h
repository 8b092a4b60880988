// A connection to the server that is left, in clear or TLS. It blocks, with time limits; one thread. For
// commands: the running server makes no connections.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include <openssl/ssl.h>

#include "base/result.h"
#include "migrate/server_url.h"
#include "net/client_connection.h"

namespace pier::migrate {

struct ConnectOptions {
    std::string ca_file;    // whom to trust; empty: the system's authorities
    bool insecure = false;  // any certificate is taken
    std::chrono::seconds connect_limit{30};
    std::chrono::seconds answer_limit{300};  // of silence; a server may have to read a whole mailbox first
};

class ServerConnection {
  public:
    // With TLS already if the URL says so. Errors name the server, the cause and what to do.
    static Result<std::unique_ptr<ServerConnection>> open(const ServerUrl& url, ConnectOptions options);
    Result<void> start_tls();
    Result<void> write(std::string_view octets);
    Result<std::string_view>
    read();  // some octets, until the next call; empty: the server closed the connection

  private:
    ServerConnection(const ServerUrl& url, ConnectOptions options);
    Result<void> connect();
    Error broken(std::string_view what) const;

    const ServerUrl url_;
    const ConnectOptions options_;
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
    std::unique_ptr<net::ClientConnection> connection_;
};

// Does what a dialogue (Pop3Client, ImapClient) says until it says something else than reading, writing or
// starting TLS.
template <class Client>
Result<typename Client::Action> drive(Client& client, ServerConnection& connection) {
    for (;;) {
        typename Client::Action action = client.next();
        if (auto* write = std::get_if<typename Client::Write>(&action)) {
            const Result<void> written = connection.write(write->text);
            OPENSSL_cleanse(write->text.data(), write->text.size());
            if (!written) return written.error();
        } else if (std::holds_alternative<typename Client::NeedInput>(action)) {
            const auto octets = connection.read();
            if (!octets) return octets.error();
            if (octets->empty())
                client.on_eof();
            else
                client.on_bytes(*octets);
        } else if (std::holds_alternative<typename Client::StartTls>(action)) {
            if (auto started = connection.start_tls(); !started) return started.error();
            client.on_tls();
        } else if (auto* failed = std::get_if<typename Client::Failed>(&action)) {
            return failed->error;
        } else {
            return action;
        }
    }
}

}  // namespace pier::migrate
