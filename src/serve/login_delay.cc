#include "serve/login_delay.h"

#include <utility>

namespace pier::serve {

LoginDelay::LoginDelay(std::chrono::seconds delay, Clock clock) : delay_(delay), clock_(std::move(clock)) {}

bool LoginDelay::too_soon(store::AccountId account) {
    if (remaining(account).count() == 0) return false;
    const std::lock_guard lock(mutex_);
    ++refused_;
    return true;
}

std::chrono::seconds LoginDelay::remaining(store::AccountId account) const {
    if (delay_.count() == 0) return {};
    const Time now = clock_();
    const std::lock_guard lock(mutex_);
    const auto last = logins_.find(account);
    if (last == logins_.end() || now - last->second >= delay_) return {};
    return std::chrono::ceil<std::chrono::seconds>(delay_ - (now - last->second));
}

void LoginDelay::note(store::AccountId account) {
    if (delay_.count() == 0) return;
    const Time now = clock_();
    const std::lock_guard lock(mutex_);
    if (now - tidied_ >= delay_) {
        std::erase_if(logins_, [&](const auto& login) { return now - login.second >= delay_; });
        tidied_ = now;
    }
    logins_[account] = now;
}

std::uint64_t LoginDelay::refused() const {
    const std::lock_guard lock(mutex_);
    return refused_;
}

}  // namespace pier::serve
