#include "auth/backend_logins.h"

#include <memory>
#include <utility>

#include "auth/name.h"
#include "auth/password.h"
#include "base/log.h"

namespace pier::auth {

namespace {

Refused wrong_credentials() {
    return {Refused::Why::credentials, "Authentication failed"};
}

Error nobody() {
    return {ErrorKind::not_found, "no back end knows the name"};
}
Error no_answer() {
    return {ErrorKind::busy, "a back end cannot be asked at this moment"};
}

// Why somebody whom a back end knows has no account here: for the administrator to mend.
void log_refusal(const BackendUser& user, const Error& error) {
    log::error("backend.account.refused",
               {{"backend", user.backend}, {"user", user.name}, {"reason", error.text}});
}

Result<AccountPtr> account_of(Directory& directory, const BackendAnswer& answer) {
    if (const auto* user = std::get_if<BackendUser>(&answer)) {
        auto account = directory.adopt(*user);
        if (account) return account;
        log_refusal(*user, account.error());
        return no_answer();
    }
    if (std::holds_alternative<BackendOutage>(answer)) return no_answer();
    return nobody();
}

}  // namespace

Refused outage_refusal() {
    return {Refused::Why::outage, "The password cannot be checked at this moment; try again later"};
}

BackendLogins::BackendLogins(Directory& directory, Backends& backends, Later later)
    : directory_(directory), backends_(backends), later_(std::move(later)) {}

bool BackendLogins::concerns(std::string_view user) const {
    const AccountPtr account = directory_.find_login(user);
    if (account) return !account->backend.empty();
    return !directory_.names_to_ask(user).empty();
}

void BackendLogins::check(std::string_view user, std::string password, const LoginOrigin& origin,
                          std::function<void(Verdict)> done) {
    const AccountPtr account = directory_.find_login(user);
    BackendQuestion question{.names = directory_.names_to_ask(user),
                             .backend = account ? account->backend : std::string(),
                             .password = password,
                             .origin = origin};
    // std::function copies what it holds, and the password shall not be copied about.
    auto typed = std::make_shared<std::string>(std::move(password));
    backends_.check(std::move(question),
                    [this, name = fold_name(user), typed, done = std::move(done)](BackendAnswer answer) {
                        auto shared = std::make_shared<BackendAnswer>(std::move(answer));
                        later_([this, name, typed, done, shared] {
                            Verdict end = verdict(*shared, name, *typed);
                            wipe(*typed);
                            done(std::move(end));
                        });
                    });
}

Verdict BackendLogins::verdict(const BackendAnswer& answer, const std::string& user,
                               std::string_view password) {
    if (const auto* denied = std::get_if<BackendDenied>(&answer)) {
        log::warning("backend.denied", {{"user", user}, {"reason", denied->reason}});
        return Refused{Refused::Why::disabled, "This account is disabled"};
    }
    const auto account = account_of(directory_, answer);
    if (account) return *account;
    if (account.error().kind == ErrorKind::busy) return outage_refusal();
    // Attack: names that exist are found by the time an answer takes. Whoever fails pays as he would for an
    // account of this server.
    spend_password_check(password);
    return wrong_credentials();
}

void BackendLogins::find(std::vector<std::string> names, std::string backend, Found done) {
    BackendQuestion question{.names = std::move(names), .backend = std::move(backend)};
    backends_.find(std::move(question), [this, done = std::move(done)](BackendAnswer answer) {
        auto shared = std::make_shared<BackendAnswer>(std::move(answer));
        later_([this, done, shared] { done(account_of(directory_, *shared)); });
    });
}

void BackendLogins::find_recipients(std::string local, std::string domain,
                                    std::function<void(Result<Recipients>)> done) {
    auto here = directory_.resolve(local, domain);
    const bool one = here && here->accounts.size() == 1 && here->elsewhere.empty() &&
                     !here->accounts.front()->backend.empty();
    if (one) {
        const AccountPtr account = here->accounts.front();
        // Does the back end still know him? While it cannot say, his mail is taken: the mailbox is there.
        return find({account->name}, account->backend, [done, account](const Result<AccountPtr>& found) {
            if (!found && found.error().kind == ErrorKind::not_found) return done(found.error());
            done(Recipients{{found ? *found : account}, {}});
        });
    }
    auto names = directory_.names_to_ask(local, domain);
    if (names.empty()) return later_([done, here] { done(here); });
    find(std::move(names), {}, [done, here](const Result<AccountPtr>& found) {
        if (found) return done(Recipients{{*found}, {}});
        if (found.error().kind != ErrorKind::not_found) return done(found.error());
        done(here);  // a catch-all may have it
    });
}

}  // namespace pier::auth
