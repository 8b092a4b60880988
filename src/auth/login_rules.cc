#include "auth/login_rules.h"

#include "auth/name.h"
#include "auth/password.h"

namespace pier::auth {

Refused wrong_credentials() {
    return {Refused::Why::credentials, "Authentication failed"};
}

Refused disabled_refusal(const Account& account) {
    return {Refused::Why::disabled, "This account is disabled", {}, account.disabled_text};
}

// Whoever reads it knows the password.
Refused wants_app_password(const Account& account) {
    return {Refused::Why::credentials,
            "Use an app password: this account's own password is not taken by mail programs",
            account.has_second_factor() ? "the account has a second factor: it takes app passwords only"
                                        : "the account takes app passwords only"};
}

bool takes_app_passwords_only(const Account& account) {
    return account.app_passwords_only || account.has_second_factor();
}

AccountPtr account_of_password(const Directory& directory, std::string_view user, std::string_view password) {
    const AccountPtr account = directory.find_login(user);
    if (!account || account->password.empty() || !password_matches(account->password, password)) {
        // Attack: names that exist are found by the time an answer takes. Whoever fails has paid for one
        // Argon2: an unknown name pays here, and so does an account whose imported hash is cheaper.
        if (!account || !is_current_password(account->password)) spend_password_check(password);
        return nullptr;
    }
    // The check took long enough for the password to be changed or the account to be removed: the present
    // one counts.
    AccountPtr present = directory.find(account->id);
    if (present && present->password != account->password && !password_matches(present->password, password))
        return nullptr;
    return present;
}

std::optional<FoundAppPassword> find_typed_app_password(const Directory& directory, std::string_view user,
                                                        std::string_view typed, const LoginOrigin& origin,
                                                        Time now) {
    const auto hash = app_password_hash(typed);
    if (!hash) return std::nullopt;
    AccountPtr account = directory.find_login(user);
    const AppPassword* found = account ? find_app_password(account->app_passwords, *hash) : nullptr;
    if (found == nullptr) return std::nullopt;
    return FoundAppPassword{std::move(account), found, app_password_refusal(*found, origin, now)};
}

Verdict admit(const Directory& directory, const AccountPtr& account, std::string_view authzid,
              std::string_view user) {
    if (account->disabled) return disabled_refusal(*account);
    const std::string asked = fold_name(authzid);
    if (asked.empty() || asked == account->name || asked == fold_name(user)) return account;
    Refused refused = wrong_credentials();
    refused.reason = "only a master user may log in as another";
    if (!account->master) return refused;
    if (AccountPtr other = directory.find_login(asked)) return other;
    refused.reason = "a master user asked for an account that does not exist";
    return refused;
}

}  // namespace pier::auth
