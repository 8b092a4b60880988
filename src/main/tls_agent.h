// The process that speaks for the server with certificate authorities: gets and renews certificates
// (acme/renewal.h) and fetches OCSP responses (acme/ocsp_fetcher.h), none of which the confined server could
// do. What it has got it leaves in the data folder, and the server looks at it as closely as at any other
// file.
//
// Messages (backends/message.h) from there, each answered with the word "done" and the same id when it has
// been taken up: "challenges" (acme/challenges.json has changed), "certificates". To there: "renew".
// docs/decisions/0022-acme-in-a-process-of-its-own.md says why.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "main/config.h"
#include "net/tls.h"
#include "serve/acme_driver.h"

namespace pier::program {

// Starts it if there is anything for it to do; else -1. As backends/process.h says, before there are threads.
// Gives the socket for TlsAgent.
Result<int> start_tls_agent(const Config& config);

// The server's end. One thread, but for its hooks.
class TlsAgent {
  public:
    // Takes the socket over.
    explicit TlsAgent(int fd) : fd_(fd) {}
    ~TlsAgent();
    TlsAgent(const TlsAgent&) = delete;
    TlsAgent& operator=(const TlsAgent&) = delete;

    enum class Wish { challenges, certificates };
    struct Request {
        Wish wish{};
        std::uint64_t id = 0;
    };
    // What it wishes next; absent if nothing now. Never waits.
    std::optional<Request> next();
    // Any thread.
    void done(std::uint64_t id);
    Result<void> renew();

  private:
    Result<void> send(std::uint64_t id, std::string_view word) const;
    const int fd_;
    bool ended_ = false;
};

// Gives what challenges.json says to those who answer an authority.
Result<void> take_up_challenges(const std::string& file, net::Tls& tls, serve::AcmeService& service);

}  // namespace pier::program
