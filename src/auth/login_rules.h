// The rules by which a login is let in, each by itself: the authenticator follows them, and whoever explains
// a login (serve/login_examination.h) asks the same ones, so that an explanation never says what a login does
// not meet. Nothing here is counted, logged or remembered. Any thread; account_of_password() hashes.
#pragma once

#include <optional>
#include <string_view>

#include "auth/app_password.h"
#include "auth/directory.h"
#include "auth/verdict.h"

namespace pier::auth {

Refused wrong_credentials();

// Its own password is not taken by mail programs; and what whoever has shown it is told.
bool takes_app_passwords_only(const Account& account);
Refused wants_app_password(const Account& account);

// The account, if the password is its own; null: it is not, or there is no account. Whoever fails has paid
// for one Argon2, whatever the reason.
AccountPtr account_of_password(const Directory& directory, std::string_view user, std::string_view password);

// What was typed is an app password of the user's. `refusal`: why it may not be used there and now, a
// literal; empty: it may.
struct FoundAppPassword {
    AccountPtr account;
    const AppPassword* app_password = nullptr;  // as long as `account`
    std::string_view refusal;
};
std::optional<FoundAppPassword> find_typed_app_password(const Directory& directory, std::string_view user,
                                                        std::string_view typed, const LoginOrigin& origin,
                                                        Time now);

// What comes after the proof of identity, by password or by SCRAM: the account that is entered.
Verdict admit(const Directory& directory, const AccountPtr& account, std::string_view authzid,
              std::string_view user);
Refused disabled_refusal(const Account& account);

}  // namespace pier::auth
