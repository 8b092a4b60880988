// What the back ends have said a short while ago, so that a client that polls, and every mail for the same
// user, does not cost a request: passwords that were right, as a keyed hash (as auth/remembered.h, with a key
// that this process made at its start and never shows), and names that are known or not.
//
// A wrong password is not kept: whoever guesses would learn by the time an answer takes which names there
// are. Bounded: the name that was used least recently goes first. Any thread; never waits.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <sodium.h>

#include "base/time.h"

namespace pier::backends {

class Cache {
  public:
    // At most so many pairs of back end and name, about 400 octets each; 0: none.
    explicit Cache(std::size_t names_max);
    ~Cache();
    Cache(const Cache&) = delete;
    Cache& operator=(const Cache&) = delete;

    // Goes up with every forget(): what was asked before is not taken in after it.
    std::uint64_t age() const;

    void keep_password(std::string_view backend, std::string_view name, std::string_view password, Time until,
                       std::uint64_t age);
    bool knows_password(std::string_view backend, std::string_view name, std::string_view password, Time now);

    // `account`: whose name it is; empty: nobody's.
    void keep_name(std::string_view backend, std::string_view name, std::string_view account, Time until,
                   std::uint64_t age);
    std::optional<std::string> account_of(std::string_view backend, std::string_view name, Time now);

    // A name, also as the account that others lead to; empty: all.
    void forget(std::string_view name);
    std::size_t size() const;

  private:
    using Mark = std::array<unsigned char, crypto_auth_hmacsha256_BYTES>;
    struct Entry {
        std::string key, name;
        Mark password{};
        Time password_until{};
        std::string account;
        Time account_until{};
    };
    using Entries = std::list<Entry>;

    Mark mark_of(std::string_view key, std::string_view password) const;
    Entry* find(std::string_view backend, std::string_view name);  // and makes it the latest
    Entry& find_or_make(std::string_view backend, std::string_view name);

    const std::size_t names_max_;
    crypto_auth_hmacsha256_state keyed_;
    mutable std::mutex mutex_;
    Entries latest_first_;
    std::unordered_map<std::string_view, Entries::iterator> places_;  // by Entry::key
    std::uint64_t age_ = 0;
};

}  // namespace pier::backends
