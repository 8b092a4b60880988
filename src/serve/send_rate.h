// How much mail each account submits: so that a stolen password does not send a million mails. Counted in
// memory, within hours and days that begin with an account's first message. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "base/time.h"
#include "serve/submission_settings.h"
#include "store/store.h"

namespace pier::serve {

class SendRate {
  public:
    // `clock` goes on evenly (base/time.h's even_clock).
    SendRate(const SendLimits& limits, Clock clock) : limits_(limits), clock_(std::move(clock)) {}

    // The name of the limit that one more message, to so many recipients, would pass; empty: none.
    std::string_view refusal(store::AccountId account, std::uint64_t recipients) const;
    // The same; it is counted if nothing refuses it.
    std::string_view take(store::AccountId account, std::uint64_t recipients);

    std::uint64_t refused() const;  // since the start
    std::size_t counted() const;    // accounts, now

  private:
    struct Window {
        Time began{};
        std::uint64_t messages = 0, recipients = 0;
    };
    struct Counts {
        Window hour, day;
    };
    static void renew(Counts& counts, Time now);
    std::string_view refusal(const Counts& counts, std::uint64_t recipients) const;
    void make_room(Time now);

    const SendLimits limits_;
    const Clock clock_;
    mutable std::mutex mutex_;
    std::unordered_map<store::AccountId, Counts> accounts_;
    std::uint64_t refused_ = 0;
};

}  // namespace pier::serve
