#include "auth/remembered.h"

#include <cstdint>

#include "base/random.h"

namespace pier::auth {

RememberedPasswords::RememberedPasswords(std::size_t passwords_max) : passwords_max_(passwords_max) {
    std::array<unsigned char, crypto_auth_hmacsha256_KEYBYTES> key;
    random_bytes(key);
    crypto_auth_hmacsha256_init(&keyed_, key.data(), key.size());
    sodium_memzero(key.data(), key.size());
}

RememberedPasswords::~RememberedPasswords() {
    sodium_memzero(&keyed_, sizeof keyed_);
}

RememberedPasswords::Mark RememberedPasswords::mark_of(const Account& account,
                                                       std::string_view password) const {
    auto state = keyed_;
    const auto add = [&state](const void* octets, std::size_t size) {
        crypto_auth_hmacsha256_update(&state, static_cast<const unsigned char*>(octets), size);
    };
    // The lengths of the first two parts are known, so no other pair of texts gives the same octets.
    const auto id = static_cast<std::uint64_t>(account.id);
    const std::uint64_t stored_octets = account.password.size();
    add(&id, sizeof id);
    add(&stored_octets, sizeof stored_octets);
    add(account.password.data(), account.password.size());
    add(password.data(), password.size());
    Mark mark;
    crypto_auth_hmacsha256_final(&state, mark.data());
    sodium_memzero(&state, sizeof state);
    return mark;
}

void RememberedPasswords::remember(const Account& account, std::string_view password) {
    if (passwords_max_ == 0) return;
    const Mark mark = mark_of(account, password);
    std::lock_guard lock(mutex_);
    if (places_.contains(mark)) return;
    if (latest_first_.size() >= passwords_max_) {
        places_.erase(latest_first_.back());
        latest_first_.pop_back();
    }
    latest_first_.push_front(mark);
    places_.emplace(mark, latest_first_.begin());
}

bool RememberedPasswords::knows(const Account& account, std::string_view password) {
    if (passwords_max_ == 0) return false;
    const Mark mark = mark_of(account, password);
    std::lock_guard lock(mutex_);
    const auto at = places_.find(mark);
    if (at == places_.end()) return false;
    latest_first_.splice(latest_first_.begin(), latest_first_, at->second);
    return true;
}

std::size_t RememberedPasswords::size() const {
    std::lock_guard lock(mutex_);
    return latest_first_.size();
}

}  // namespace pier::auth
