#include "auth/authenticator.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "auth/name.h"
#include "auth/password.h"
#include "auth/remembered.h"
#include "base/log.h"
#include "base/memory.h"
#include "wire/scram.h"

namespace pier::auth {

namespace {

Refused wrong_credentials() {
    return {Refused::Why::credentials, "Authentication failed"};
}
Refused too_busy() {
    return {Refused::Why::busy, "Too many logins at this moment; try again in a minute"};
}

Refused disabled(const Account& account) {
    return {Refused::Why::disabled, "This account is disabled", {}, account.disabled_text};
}

// Whoever reads it knows the password.
Refused wants_app_password() {
    return {Refused::Why::credentials,
            "Use an app password: this account's own password is not taken by mail programs",
            "the account takes app passwords only"};
}

// What comes after the proof of identity, by password or by SCRAM.
Verdict admit(const Directory& directory, const AccountPtr& account, std::string_view authzid,
              std::string_view user) {
    if (account->disabled) return disabled(*account);
    const std::string asked = fold_name(authzid);
    if (asked.empty() || asked == account->name || asked == fold_name(user)) return account;
    Refused refused = wrong_credentials();
    refused.reason = "only a master user may log in as another";
    if (!account->master) return refused;
    if (AccountPtr other = directory.find_login(asked)) return other;
    refused.reason = "a master user asked for an account that does not exist";
    return refused;
}

struct Check {
    std::string authzid, user, password;
    std::function<void(Verdict)> done;
};

struct Use {
    std::string account, app_password;
    Time when;
};
constexpr std::size_t uses_max = 1000;  // that wait to be noted; more are not

}  // namespace

struct Authenticator::Impl {
    Impl(Directory& d, const AuthLimits& l, Clock c)
        : directory(d), limits(l), clock(std::move(c)), passwords(l.remembered_max) {}

    Directory& directory;
    const AuthLimits limits;
    const Clock clock;
    RememberedPasswords passwords;
    std::atomic<std::uint64_t> checked = 0, remembered = 0, turned_away = 0;

    std::mutex mutex;
    std::condition_variable wake;
    std::deque<Check> waiting;
    std::vector<Use> uses;  // to be noted
    bool stopping = false;
    std::vector<std::jthread> threads;

    void work() {
        for (;;) {
            std::unique_lock lock(mutex);
            wake.wait(lock, [&] { return stopping || !waiting.empty() || !uses.empty(); });
            if (stopping) return;
            if (!uses.empty()) {
                const auto noted = std::exchange(uses, {});
                lock.unlock();
                for (const Use& use : noted)
                    note(use);
                continue;
            }
            Check check = std::move(waiting.front());
            waiting.pop_front();
            lock.unlock();
            run(check);
            wipe(check.password);
        }
    }

    void note(const Use& use) const {
        if (const auto done = directory.note_app_password_use(use.account, use.app_password, use.when); !done)
            log::warning("auth.use_not_noted", {{"account", use.account}, {"error", done.error().text}});
    }

    // The account, if the password is its own.
    AccountPtr check_account(std::string_view user, std::string_view password) const {
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
        if (present && present->password != account->password &&
            !password_matches(present->password, password))
            return nullptr;
        return present;
    }

    void run(Check& check) {
        ++checked;
        AccountPtr account;
        Verdict verdict = too_busy();
        try {
            account = check_account(check.user, check.password);
            if (account) passwords.remember(*account, check.password);
            if (!account)
                verdict = wrong_credentials();
            else if (account->app_passwords_only)
                verdict = wants_app_password();
            else
                verdict = admit(directory, account, check.authzid, check.user);
        } catch (const std::bad_alloc&) {
            log::error("auth.memory", {{"hint", "no memory to check a password (19 MiB are needed)"}});
        }
        const bool entered = std::holds_alternative<AccountPtr>(verdict);
        check.done(std::move(verdict));
        if (entered) upgrade(*account, check.password);
    }

    // An imported hash, or one of earlier costs, is replaced while the password is at hand. The login does
    // not wait for it.
    void upgrade(const Account& account, std::string_view password) const {
        if (is_current_password(account.password) && account.scram_sha1 && account.scram_sha256) return;
        const auto stored = store_password(password);
        const auto done = stored ? directory.upgrade_password(account.name, account.password, *stored)
                                 : Result<void>(stored.error());
        if (!done)
            log::warning("auth.upgrade_failed", {{"account", account.name}, {"error", done.error().text}});
    }

    // A word of the made-up keys: the same for the same name, and nobody without the secret can tell it from
    // chance.
    std::string made_up(std::string_view what, wire::ScramHash hash, std::string_view name) const {
        std::string text(what);
        text += hash == wire::ScramHash::sha1 ? ":sha1:" : ":sha256:";
        text += name;
        return wire::hmac(wire::ScramHash::sha256, directory.secret(), text);
    }
};

Authenticator::Authenticator(Directory& directory, const AuthLimits& limits, Clock clock)
    : impl_(std::make_unique<Impl>(directory, limits, std::move(clock))) {
    for (std::size_t i = 0; i < limits.threads; ++i)
        impl_->threads.emplace_back([impl = impl_.get()] { impl->work(); });
}

Authenticator::~Authenticator() {
    std::deque<Check> left;
    {
        std::lock_guard lock(impl_->mutex);
        impl_->stopping = true;
        left.swap(impl_->waiting);
    }
    impl_->wake.notify_all();
    impl_->threads.clear();
    for (auto& check : left) {
        wipe(check.password);
        check.done(Refused{Refused::Why::busy, "The server is stopping; try again in a minute"});
    }
}

void Authenticator::check_password(std::string authzid, std::string user, std::string password,
                                   std::function<void(Verdict)> done) {
    std::unique_lock lock(impl_->mutex);
    if (impl_->waiting.size() >= impl_->limits.waiting_max || memory::is_short()) {
        lock.unlock();
        ++impl_->turned_away;
        wipe(password);
        done(too_busy());
        return;
    }
    impl_->waiting.push_back({std::move(authzid), std::move(user), std::move(password), std::move(done)});
    lock.unlock();
    impl_->wake.notify_one();
}

std::optional<Verdict> Authenticator::remembered(std::string_view authzid, std::string_view user,
                                                 std::string_view password) const {
    const AccountPtr account = impl_->directory.find_login(user);
    if (!account || account->password.empty() || !impl_->passwords.knows(*account, password))
        return std::nullopt;
    ++impl_->remembered;
    if (account->app_passwords_only) return wants_app_password();
    return admit(impl_->directory, account, authzid, user);
}

std::optional<Verdict> Authenticator::app_password(std::string_view authzid, std::string_view user,
                                                   std::string_view typed, const LoginOrigin& origin) {
    const auto hash = app_password_hash(typed);
    if (!hash) return std::nullopt;
    const AccountPtr account = impl_->directory.find_login(user);
    const AppPassword* found = account ? find_app_password(account->app_passwords, *hash) : nullptr;
    if (found == nullptr) return std::nullopt;
    const Time now = impl_->clock();
    // To the client as a wrong password, so that nobody learns from elsewhere that it is right.
    if (const auto why = app_password_refusal(*found, origin, now); !why.empty()) {
        Refused refused = wrong_credentials();
        refused.reason = why;
        return refused;
    }
    Verdict verdict = admit(impl_->directory, account, authzid, user);
    if (std::holds_alternative<AccountPtr>(verdict) && now - found->used >= std::chrono::hours(1)) {
        std::lock_guard lock(impl_->mutex);
        if (impl_->uses.size() < uses_max) impl_->uses.push_back({account->name, found->name, now});
        impl_->wake.notify_one();
    }
    return verdict;
}

Authenticator::Counts Authenticator::counts() const {
    std::uint64_t waiting = 0;
    {
        std::lock_guard lock(impl_->mutex);
        waiting = impl_->waiting.size();
    }
    return {.checked = impl_->checked,
            .remembered = impl_->remembered,
            .turned_away = impl_->turned_away,
            .waiting = waiting,
            .kept = impl_->passwords.size()};
}

wire::ScramKeys Authenticator::scram_keys(std::string_view user, wire::ScramHash hash) const {
    const AccountPtr account = impl_->directory.find_login(user);
    // Attack: names that exist are found by the time the challenge takes. So keys are made up for them too,
    // and thrown away: it costs some microseconds, which a thousand tries would show.
    const std::string name = name_of(user);
    const std::size_t octets = wire::hash_octets(hash);
    wire::ScramKeys made_up{.salt = impl_->made_up("salt", hash, name).substr(0, scram_salt_octets),
                            .iterations = scram_iterations,
                            .stored_key = impl_->made_up("stored", hash, name).substr(0, octets),
                            .server_key = impl_->made_up("server", hash, name).substr(0, octets)};
    if (!account || account->disabled || account->app_passwords_only) return made_up;
    const auto& keys = hash == wire::ScramHash::sha1 ? account->scram_sha1 : account->scram_sha256;
    return keys ? *keys : made_up;
}

std::string Authenticator::name_of(std::string_view user) const {
    const AccountPtr account = impl_->directory.find_login(user);
    return account ? account->name : fold_name(user);
}

Verdict Authenticator::proven(std::string_view authzid, std::string_view user,
                              const wire::ScramKeys& keys) const {
    const AccountPtr account = impl_->directory.find_login(user);
    // Attack: exchanges that were begun with a stolen password and held open until it was changed.
    if (!account || (account->scram_sha1 != keys && account->scram_sha256 != keys))
        return wrong_credentials();
    if (account->app_passwords_only) return wants_app_password();
    return admit(impl_->directory, account, authzid, user);
}

bool Authenticator::admits(std::string_view name, const IpAddress& address) const {
    const AccountPtr account = impl_->directory.find(name);
    return account && account->networks.admits(address);
}

}  // namespace pier::auth
