// The issuer of tokens (auth/tokens.h), asked by a worker process outside the sandbox: its keys, from a file
// or a web server, and what it says of a token (RFC 7662 §2).
//
//   "keys" {}                -> "keys" {text}        a key set as it is
//   "introspect" {token}     -> "answer" {text}      JSON as it is
//                            -> "outage" {text}      why, for the log
#pragma once

#include <chrono>
#include <string>

#include "auth/tokens.h"
#include "backends/channel.h"
#include "backends/worker.h"

namespace pier::backends {

struct TokenIssuerSettings {
    std::string jwks_file, jwks_url;  // one of them, or introspection_url
    std::string introspection_url;
    std::string client_id;           // at the issuer; empty: it wants none
    std::string client_secret_file;  // read for each request, so that it may be replaced
    std::string ca_file;             // PEM: who may have signed the issuer's certificate; empty: the system's
    std::chrono::seconds timeout{10};
    std::uint64_t waiting_max = 1000;
};

// In the worker process.
MakeService token_service(const TokenIssuerSettings& settings);
int run_token_issuer(const TokenIssuerSettings& settings, int fd);

// In the server. Makes a thread.
class IssuerInProcess : public auth::TokenIssuer {
  public:
    // `fd` is start_process()'s.
    IssuerInProcess(const TokenIssuerSettings& settings, int fd);

    void fetch_keys(Done done) override;
    void introspect(std::string_view token, Done done) override;

    Channel::State state() const { return channel_.state(); }
    // Answers all that wait, with an error, and takes nothing more.
    void stop() { channel_.stop(); }

  private:
    void ask(Message request, Done done);
    Channel channel_;
};

}  // namespace pier::backends
