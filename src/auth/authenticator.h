// Who is it? Checks passwords on a pool of its own, so that no event loop hashes; gives out SCRAM keys.
// Known and unknown users cost the same and get the same text.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "auth/directory.h"

namespace pier::auth {

struct Refused {
    // busy: more checks are waiting than limits allow; held: the guard does not let the login be checked
    enum class Why { credentials, disabled, busy, held } why{};
    std::string text;           // for the client
    std::string_view reason{};  // for the log, where it is more than `why` says; a literal
    std::string detail = {};    // for the client too, behind `text`: the administrator's own words
};
using Verdict = std::variant<AccountPtr, Refused>;

struct AuthLimits {
    std::size_t threads = 2;               // password checks at once
    std::size_t waiting_max = 1000;        // checks waiting; more are answered busy
    std::size_t remembered_max = 100'000;  // passwords that need no new check (remembered.h)
};

class Authenticator {
  public:
    // The directory outlives it.
    Authenticator(Directory& directory, const AuthLimits& limits, Clock clock = system_now);
    ~Authenticator();  // waits for the checks under way

    // `done` runs on a thread of the pool, or before this returns when too many are waiting; post to your
    // event loop. It is called exactly once. An authzid other than the user is refused, unless the user is a
    // master: then the verdict is the account that he asked for.
    void check_password(std::string authzid, std::string user, std::string password,
                        std::function<void(Verdict)> done);

    // The verdict, if this very password was checked before and neither it nor the account has changed since;
    // absent: ask check_password(). Never waits.
    std::optional<Verdict> remembered(std::string_view authzid, std::string_view user,
                                      std::string_view password) const;

    // The verdict, if what was typed is one of the user's app passwords; absent: it is something else. Never
    // waits.
    std::optional<Verdict> app_password(std::string_view authzid, std::string_view user,
                                        std::string_view typed, const LoginOrigin& origin);

    // The user's SCRAM keys; for an unknown, disabled or keyless account, and one with app
    // passwords only, ones made up, always the same for
    // the same name (HMAC with a key that the store keeps), so that nobody learns which names exist. Never
    // waits.
    wire::ScramKeys scram_keys(std::string_view user, wire::ScramHash hash) const;

    // After a SCRAM proof against `keys`, which scram_keys() gave for this user: the account, or why not.
    // They must still be its own: the password may have been changed within the exchange. Never waits.
    Verdict proven(std::string_view authzid, std::string_view user, const wire::ScramKeys& keys) const;

    // Whether the account of that name may log in from there. Never waits.
    bool admits(std::string_view name, const IpAddress& address) const;

    // The account's name; for one that does not exist what was typed, in lower case. Never waits.
    std::string name_of(std::string_view user) const;

    struct Counts {
        std::uint64_t checked = 0;      // since the start: passwords, at full cost
        std::uint64_t remembered = 0;   // since the start: logins that remembered() answered
        std::uint64_t turned_away = 0;  // since the start: because AuthLimits::waiting_max were waiting
        std::uint64_t waiting = 0;      // now
        std::uint64_t kept = 0;         // now: remembered passwords
    };
    Counts counts() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pier::auth
