// The connections that this process makes to its own listeners, to see whether they answer: by the address
// and port that they come from. Who serves one asks here at its end, so that a look at ourselves is neither
// taken for a scanner nor fills the log. An entry outlives its connection for a while, because the server's
// side may end later. Any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>

#include "base/network.h"

namespace pier::net {

class OwnVisits {
  public:
    using Instant = std::chrono::steady_clock::time_point;
    static constexpr std::size_t kept_max = 1024;
    static constexpr std::chrono::seconds kept_for{120};

    void note(const IpAddress& address, std::uint16_t port, Instant now = std::chrono::steady_clock::now());
    bool knows(const IpAddress& address, std::uint16_t port,
               Instant now = std::chrono::steady_clock::now()) const;

  private:
    struct Visit {
        IpAddress address;
        std::uint16_t port = 0;
        Instant begun{};
    };
    mutable std::mutex mutex_;
    std::deque<Visit> visits_;  // the oldest first
};

}  // namespace pier::net
