// Answers an ACME authority that looks whether a name leads here: by HTTP (http-01, RFC 8555 §8.3) or by a
// handshake of TLS (tls-alpn-01, RFC 8737). Nobody else is told anything.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "net/connection.h"

namespace pier::serve {

struct AcmeService {
    const net::Tls* tls = nullptr;  // not null for serve_acme_tls()
    std::chrono::seconds timeout{10};

    // The key authorizations (RFC 8555 §8.1) by their tokens, in place of those before. Any thread.
    void set_answers(std::map<std::string, std::string> answers);
    // Empty if there is none of that token.
    std::string answer(const std::string& token) const;

    std::atomic<std::uint64_t> answered = 0;

  private:
    mutable std::mutex mutex_;
    std::map<std::string, std::string> answers_;
};

// One request, then the connection ends: GET /.well-known/acme-challenge/TOKEN, and 404 for anything else.
net::Task<void> serve_acme_http(net::Connection& connection, AcmeService& service,
                                const std::string& listener);

// The handshake, then the connection ends.
net::Task<void> serve_acme_tls(net::Connection& connection, AcmeService& service,
                               const std::string& listener);

}  // namespace pier::serve
