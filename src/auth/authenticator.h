// Who is it? Checks passwords on a pool of its own, so that no event loop hashes; gives out SCRAM keys.
// Known and unknown users cost the same and get the same text.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "auth/backend.h"
#include "auth/directory.h"
#include "auth/verdict.h"

namespace pier::auth {

struct AuthLimits {
    std::size_t threads = 2;               // password checks at once
    std::size_t waiting_max = 1000;        // checks waiting; more are answered busy
    std::size_t remembered_max = 100'000;  // passwords that need no new check (remembered.h)
};

class Authenticator {
  public:
    // The directory outlives it. So do the back ends, which have answered everything before it goes; null:
    // none.
    Authenticator(Directory& directory, const AuthLimits& limits, Clock clock = system_now,
                  Backends* backends = nullptr);
    ~Authenticator();  // waits for the checks under way

    // `done` runs on a thread of the pool, or before this returns when too many are waiting; post to your
    // event loop. It is called exactly once. An authzid other than the user is refused, unless the user is a
    // master: then the verdict is the account that he asked for.
    //
    // Built-in accounts come first. A name that is none of theirs is asked of the back ends, and whoever is
    // found there has an account from then on, whose passwords are checked by that back end alone.
    void check_password(std::string authzid, std::string user, std::string password,
                        std::function<void(Verdict)> done, LoginOrigin origin = {});

    // Who receives mail for an address, as Directory::resolve() says it, with those whom the back ends know:
    // they get an account. `busy`: a back end cannot be asked. Called and calling as above.
    void find_recipients(std::string local, std::string domain, std::function<void(Result<Recipients>)> done);

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

    // Somebody whose identity is known without a password: by a token, or a certificate. The account of that
    // name, or why not; nobody logs in so as another, not even a master. App passwords only: that is about
    // passwords. Never waits.
    Verdict identified(std::string_view authzid, std::string_view name) const;

    // Why somebody may not log in from there, or by that protocol; absent: he may. He is `name`, whose
    // password it was (a master, who enters another account), or `entered` itself, if no account has that
    // name: a back end may know an account by others. Never waits.
    std::optional<Refused> keeps_out(std::string_view name, const Account& entered,
                                     const LoginOrigin& origin) const;
    bool is_master(std::string_view name) const;

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
