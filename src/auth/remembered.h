// Passwords that were checked a short while ago, so that a client that polls does not cost an Argon2 each
// time. What is kept is an HMAC-SHA-256 over account, stored password and password, with a key that this
// process made at its start and never shows: nothing in it can be guessed against or taken elsewhere.
//
// The stored password is part of it, so one that has been changed is forgotten in that moment: nobody has to
// tell us. Bounded: the login that lies furthest back goes first. Any thread; never waits.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <list>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include <sodium.h>

#include "auth/directory.h"

namespace pier::auth {

class RememberedPasswords {
  public:
    // At most `passwords_max`, about 120 octets each; 0: none.
    explicit RememberedPasswords(std::size_t passwords_max);
    ~RememberedPasswords();
    RememberedPasswords(const RememberedPasswords&) = delete;
    RememberedPasswords& operator=(const RememberedPasswords&) = delete;

    // This password has been checked against this very account and is right.
    void remember(const Account& account, std::string_view password);
    bool knows(const Account& account, std::string_view password);
    std::size_t size() const;

  private:
    using Mark = std::array<unsigned char, crypto_auth_hmacsha256_BYTES>;
    struct MarkHash {
        std::size_t operator()(const Mark& mark) const {
            std::size_t first = 0;  // as good as chance: nobody outside knows the key
            std::memcpy(&first, mark.data(), sizeof first);
            return first;
        }
    };

    Mark mark_of(const Account& account, std::string_view password) const;

    const std::size_t passwords_max_;
    crypto_auth_hmacsha256_state keyed_;  // the key taken in; each mark starts from a copy
    mutable std::mutex mutex_;
    std::list<Mark> latest_first_;
    std::unordered_map<Mark, std::list<Mark>::iterator, MarkHash> places_;
};

}  // namespace pier::auth
