// How long an account has to wait between two POP3 logins (RFC 2449 §6.6), so that nobody polls without end.
// Any thread. Holds an entry for each account that has logged in within the delay.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "base/time.h"
#include "store/store.h"

namespace pier::serve {

class LoginDelay {
  public:
    // 0: none, and nothing is held. `clock` must not be set back.
    explicit LoginDelay(std::chrono::seconds delay, Clock clock = even_clock());

    // Its last login was less than the delay ago.
    bool too_soon(store::AccountId account);
    // How long it still has to wait; 0: not at all. Counts nothing.
    std::chrono::seconds remaining(store::AccountId account) const;
    // It has logged in.
    void note(store::AccountId account);

    std::chrono::seconds delay() const { return delay_; }
    std::uint64_t refused() const;  // since the start

  private:
    const std::chrono::seconds delay_;
    const Clock clock_;
    mutable std::mutex mutex_;
    std::unordered_map<store::AccountId, Time> logins_;
    Time tidied_{};
    std::uint64_t refused_ = 0;
};

}  // namespace pier::serve
