// What becomes of a back end's answers: the account that somebody gets who is known there, the verdict on a
// login, the recipients of an address. Any thread; the functions never wait.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/backend.h"
#include "auth/directory.h"
#include "auth/verdict.h"

namespace pier::auth {

class BackendLogins {
  public:
    // Runs it on a thread that may wait for the disk and hash passwords.
    using Later = std::function<void(std::function<void()>)>;
    // Directory and back ends outlive it.
    BackendLogins(Directory& directory, Backends& backends, Later later);

    // Whether they are asked about who logs in as `user`: it is no built-in account's name, and could be one.
    bool concerns(std::string_view user) const;

    // Every `done` is called exactly once, on a thread of Later's.
    void check(std::string_view user, std::string password, const LoginOrigin& origin,
               std::function<void(Verdict)> done);
    // `busy` for an outage, not_found.
    using Found = std::function<void(Result<AccountPtr>)>;
    void find(std::vector<std::string> names, std::string backend, Found done);
    void find_recipients(std::string local, std::string domain, std::function<void(Result<Recipients>)> done);

  private:
    Verdict verdict(const BackendAnswer& answer, const std::string& user, std::string_view password);

    Directory& directory_;
    Backends& backends_;
    const Later later_;
};

Refused outage_refusal();

}  // namespace pier::auth
