// When it may be tried again to connect: at once after a connection has broken, then after pauses that
// double. Between two tries every request is told of the failure without waiting, so that a server that is
// away does not hold threads, and one that comes back is not overrun. Pure: time is passed in. One thread.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/result.h"

namespace pier::backends {

using Instant = std::chrono::steady_clock::time_point;

class Reconnect {
  public:
    static constexpr std::chrono::milliseconds pause_min{250}, pause_max{10'000};

    bool may_try(Instant now) const { return now >= next_; }
    // Why the last try failed.
    const Error& failure() const { return failure_; }

    void failed(Instant now, Error why) {
        failure_ = std::move(why);
        next_ = now + pause_;
        pause_ = std::min(2 * pause_, pause_max);
    }
    void succeeded() {
        pause_ = pause_min;
        next_ = {};
    }

  private:
    Instant next_{};
    std::chrono::milliseconds pause_ = pause_min;
    Error failure_;
};

// Until when a Source waits for an answer that may take so long in all: a little less, so that its own words
// about the outage arrive before the server gives it up.
inline Instant deadline_of(std::chrono::milliseconds timeout, Instant now) {
    return now + timeout * 9 / 10;
}

// What is left until then; at least a millisecond, because nought means "for ever" to some libraries.
inline std::chrono::milliseconds left_until(Instant deadline, Instant now) {
    return std::max(std::chrono::duration_cast<std::chrono::milliseconds>(deadline - now),
                    std::chrono::milliseconds(1));
}

}  // namespace pier::backends
