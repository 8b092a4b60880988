// One connection of a probe: a dialogue over a socket, each phase timed. It blocks, with time limits; one
// thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/network.h"
#include "net/client_connection.h"
#include "watch/dialogue.h"
#include "watch/host_lookup.h"
#include "watch/probe_tls.h"

namespace pier::watch {

using Milliseconds = std::chrono::milliseconds;

struct ConversationLimits {
    Milliseconds wait{10'000};         // for each answer, the connection and the handshake
    Milliseconds total{60'000};        // for all of it: a server that drips does not hold us
    int stop_fd = -1;                  // readable: it ends at once; not owned
    IpAddress source{};                // which of our addresses to come from; unspecified: the kernel chooses
    net::OwnVisits* visits = nullptr;  // told of each connection; not owned; may be null
};

// Whether the address is this machine's, or of a private network: a server may trust it more than others.
bool is_near(const IpAddress& address);

class Conversation {
  public:
    Conversation(const Target& target, const TlsTrust& trust, const ConversationLimits& limits);

    // The first of `addresses` that answers is connected to.
    std::optional<Failure> connect(const std::vector<IpAddress>& addresses);
    // To the dialogue's end. `now`: for the certificates.
    std::optional<Failure> run(Dialogue& dialogue, const TlsOffer& offer, Time now);

    const IpAddress& address() const { return address_; }
    const std::optional<TlsFacts>& tls() const { return tls_; }
    bool handshake_failed() const { return handshake_failed_; }  // the server was heard, and refused
    // Adds `time` to the phase, behind those that are there.
    void note(std::string_view phase, std::chrono::microseconds time);
    const std::vector<Phase>& phases() const { return phases_; }

  private:
    using Instant = std::chrono::steady_clock::time_point;

    Result<void> start_tls(const TlsOffer& offer, Time now);
    Result<bool> step(Dialogue& dialogue, const TlsOffer& offer, Time now);  // false: it has ended
    Milliseconds limit() const;
    void enter(std::string_view phase);  // what has passed until now belongs to the phase before

    const Target& target_;
    const TlsTrust& trust_;
    const ConversationLimits limits_;
    const Instant end_;
    IpAddress address_;
    std::unique_ptr<net::ClientConnection> connection_;
    std::optional<TlsFacts> tls_;
    bool handshake_failed_ = false;
    std::vector<Phase> phases_;
    std::string phase_;  // that is under way
    Instant phase_begin_{};
};

}  // namespace pier::watch
