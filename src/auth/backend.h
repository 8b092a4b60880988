// Accounts that are kept elsewhere (a file, PAM, SQL, LDAP): what the authenticator asks of those who know
// them. The chain of src/backends is the one that implements it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "auth/app_password.h"
#include "auth/directory.h"

namespace pier::auth {

struct BackendUnknown {};  // nobody knows the name
struct BackendWrong {};    // somebody does, and it is not his password
struct BackendDenied {     // the password is right, and he may not log in: expired, locked
    std::string reason{};  // for the log
};
struct BackendOutage {
    std::string text{};  // for the log
};
using BackendAnswer = std::variant<BackendUser, BackendUnknown, BackendWrong, BackendDenied, BackendOutage>;

struct BackendQuestion {
    std::vector<std::string> names;  // under which he may be known, the best first; folded
    std::string backend{};           // who alone is asked; empty: all, in their order
    std::string password{};          // wiped by who is asked
    LoginOrigin origin{};
};

class Backends {
  public:
    virtual ~Backends() = default;
    Backends() = default;
    Backends(const Backends&) = delete;
    Backends& operator=(const Backends&) = delete;

    // `done` is called exactly once, on a thread of its own or before this returns; it must not block.
    // Neither waits.
    using Done = std::function<void(BackendAnswer)>;
    virtual void check(BackendQuestion question, Done done) = 0;
    virtual void find(BackendQuestion question, Done done) = 0;  // a user, not a password

    // Whether that password of the account was checked a short while ago. Never waits.
    virtual bool remembers(const Account& account, std::string_view password) = 0;
    // What is remembered of an account, or of all (empty).
    virtual void forget(std::string_view name) = 0;
};

}  // namespace pier::auth
