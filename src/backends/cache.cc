#include "backends/cache.h"

#include "base/random.h"

namespace pier::backends {
namespace {

// No name has a NUL.
std::string key_of(std::string_view backend, std::string_view name) {
    std::string key(backend);
    key.push_back('\0');
    key += name;
    return key;
}

}  // namespace

Cache::Cache(std::size_t names_max) : names_max_(names_max) {
    std::array<unsigned char, crypto_auth_hmacsha256_KEYBYTES> key;
    random_bytes(key);
    crypto_auth_hmacsha256_init(&keyed_, key.data(), key.size());
    sodium_memzero(key.data(), key.size());
}

Cache::~Cache() {
    sodium_memzero(&keyed_, sizeof keyed_);
}

std::uint64_t Cache::age() const {
    std::lock_guard lock(mutex_);
    return age_;
}

Cache::Mark Cache::mark_of(std::string_view key, std::string_view password) const {
    auto state = keyed_;
    const auto add = [&state](const void* octets, std::size_t size) {
        crypto_auth_hmacsha256_update(&state, static_cast<const unsigned char*>(octets), size);
    };
    // The length of the first is known, so no other pair of texts gives the same octets.
    const std::uint64_t key_octets = key.size();
    add(&key_octets, sizeof key_octets);
    add(key.data(), key.size());
    add(password.data(), password.size());
    Mark mark;
    crypto_auth_hmacsha256_final(&state, mark.data());
    sodium_memzero(&state, sizeof state);
    return mark;
}

Cache::Entry* Cache::find(std::string_view backend, std::string_view name) {
    const auto at = places_.find(key_of(backend, name));
    if (at == places_.end()) return nullptr;
    latest_first_.splice(latest_first_.begin(), latest_first_, at->second);
    return &*at->second;
}

Cache::Entry& Cache::find_or_make(std::string_view backend, std::string_view name) {
    if (Entry* present = find(backend, name)) return *present;
    if (latest_first_.size() >= names_max_) {
        places_.erase(latest_first_.back().key);
        latest_first_.pop_back();
    }
    Entry& entry = latest_first_.emplace_front();
    entry.key = key_of(backend, name);
    entry.name = name;
    places_.emplace(entry.key, latest_first_.begin());
    return entry;
}

void Cache::keep_password(std::string_view backend, std::string_view name, std::string_view password,
                          Time until, std::uint64_t age) {
    if (names_max_ == 0) return;
    std::lock_guard lock(mutex_);
    if (age != age_) return;
    Entry& entry = find_or_make(backend, name);
    entry.password = mark_of(entry.key, password);
    entry.password_until = until;
}

bool Cache::knows_password(std::string_view backend, std::string_view name, std::string_view password,
                           Time now) {
    std::lock_guard lock(mutex_);
    const Entry* entry = find(backend, name);
    if (entry == nullptr || entry->password_until <= now) return false;
    const Mark mark = mark_of(entry->key, password);
    return sodium_memcmp(mark.data(), entry->password.data(), mark.size()) == 0;
}

void Cache::keep_name(std::string_view backend, std::string_view name, std::string_view account, Time until,
                      std::uint64_t age) {
    if (names_max_ == 0) return;
    std::lock_guard lock(mutex_);
    if (age != age_) return;
    Entry& entry = find_or_make(backend, name);
    entry.account = account;
    entry.account_until = until;
    if (account.empty()) entry.password_until = Time();
}

std::optional<std::string> Cache::account_of(std::string_view backend, std::string_view name, Time now) {
    std::lock_guard lock(mutex_);
    const Entry* entry = find(backend, name);
    if (entry == nullptr || entry->account_until <= now) return std::nullopt;
    return entry->account;
}

void Cache::forget(std::string_view name) {
    std::lock_guard lock(mutex_);
    ++age_;
    for (auto at = latest_first_.begin(); at != latest_first_.end();) {
        if (!name.empty() && at->name != name && at->account != name) {
            ++at;
            continue;
        }
        places_.erase(at->key);
        at = latest_first_.erase(at);
    }
}

std::size_t Cache::size() const {
    std::lock_guard lock(mutex_);
    return latest_first_.size();
}

}  // namespace pier::backends
