// Times the commands of one session. The driver says when octets have come, when an action is done, and when
// the session waits for more; the session says which command it runs. Commands of one verb that came
// together and were answered together are one time, counted as often as there were commands.
//
// A time ends when the reply is handed to the network, so a client that does not read makes its own commands
// slow: ProtocolMeters has the phases that are the server's alone.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "serve/meters.h"
#include "wire/command_observer.h"

namespace pier::serve {

class CommandTimer final : public wire::CommandObserver {
  public:
    using SteadyTime = std::chrono::steady_clock::time_point;

    // Null: measures nothing. `clock` is for tests.
    using SteadyClock = SteadyTime (*)();
    explicit CommandTimer(
        ProtocolMeters* meters, SteadyClock clock = [] { return std::chrono::steady_clock::now(); })
        : meters_(meters), clock_(clock) {}

    // Octets have come, in the turn of the event loop that began then.
    void begin(SteadyTime now) {
        if (now > since_) since_ = now;
    }
    // An action that took its time is done: what the next command takes is its own.
    void worked() { worked_ = true; }
    // The session waits for input, or has ended: all is answered.
    void finish() {
        if (count_ > 0) observe();
    }
    void on_command(std::size_t command) override {
        if (count_ > 0 && (command != command_ || worked_)) observe();
        worked_ = false;
        command_ = static_cast<std::uint32_t>(command);
        ++count_;
    }
    SteadyTime since() const { return since_; }  // when the present command began

  private:
    void observe() {
        if (meters_ == nullptr) return;
        const SteadyTime now = clock_();
        meters_->command_time(command_).observe(now - since_, count_);
        since_ = now;
        count_ = 0;
    }

    ProtocolMeters* meters_;
    SteadyClock clock_;
    SteadyTime since_{};
    std::uint32_t command_ = 0, count_ = 0;
    bool worked_ = false;
};

}  // namespace pier::serve
