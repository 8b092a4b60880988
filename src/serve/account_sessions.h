// How many sessions an account has at once, up to a limit, so that one account does not take all connections.
// Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "store/store.h"

namespace pier::serve {

class AccountSessions {
  public:
    // 0: no limit.
    explicit AccountSessions(std::size_t sessions_max) : sessions_max_(sessions_max) {}

    // One session of an account, counted as long as it lives; must not outlive the AccountSessions.
    class Seat {
      public:
        Seat(AccountSessions& sessions, store::AccountId account) : sessions_(sessions), account_(account) {}
        ~Seat() { sessions_.leave(account_); }
        Seat(const Seat&) = delete;
        Seat& operator=(const Seat&) = delete;

      private:
        AccountSessions& sessions_;
        store::AccountId account_;
    };

    // The limit is reached: `full`. Without a limit nothing is counted, and there is no seat.
    struct Entered {
        bool full = false;
        std::unique_ptr<Seat> seat;
    };
    Entered enter(store::AccountId account);
    bool is_full(store::AccountId account) const;  // what enter() would find
    std::uint64_t refused() const;                 // since the start

  private:
    void leave(store::AccountId account);
    const std::size_t sessions_max_;
    mutable std::mutex mutex_;
    std::unordered_map<store::AccountId, std::size_t> sessions_;
    std::uint64_t refused_ = 0;
};

}  // namespace pier::serve
