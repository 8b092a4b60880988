#include "serve/account_sessions.h"

namespace pier::serve {

AccountSessions::Entered AccountSessions::enter(store::AccountId account) {
    if (sessions_max_ == 0) return {};
    const std::lock_guard lock(mutex_);
    std::size_t& count = sessions_[account];
    if (count >= sessions_max_) {
        ++refused_;
        return {.full = true, .seat = nullptr};
    }
    ++count;
    return {.full = false, .seat = std::make_unique<Seat>(*this, account)};
}

bool AccountSessions::is_full(store::AccountId account) const {
    if (sessions_max_ == 0) return false;
    const std::lock_guard lock(mutex_);
    const auto at = sessions_.find(account);
    return at != sessions_.end() && at->second >= sessions_max_;
}

void AccountSessions::leave(store::AccountId account) {
    const std::lock_guard lock(mutex_);
    const auto at = sessions_.find(account);
    if (--at->second == 0) sessions_.erase(at);
}

std::uint64_t AccountSessions::refused() const {
    const std::lock_guard lock(mutex_);
    return refused_;
}

}  // namespace pier::serve
