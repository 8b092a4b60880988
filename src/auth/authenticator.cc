#include "auth/authenticator.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "auth/backend_logins.h"
#include "auth/login_rules.h"
#include "auth/name.h"
#include "auth/password.h"
#include "auth/remembered.h"
#include "base/log.h"
#include "base/memory.h"
#include "wire/scram.h"

namespace pier::auth {

namespace {

Refused too_busy() {
    return {Refused::Why::busy, "Too many logins at this moment; try again in a minute"};
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
    Impl(Directory& d, const AuthLimits& l, Clock c, Backends* b)
        : directory(d), limits(l), clock(std::move(c)), backends(b), passwords(l.remembered_max) {
        if (backends != nullptr)
            backend_logins.emplace(directory, *backends, [this](std::function<void()> job) {
                {
                    std::lock_guard lock(mutex);
                    jobs.push_back(std::move(job));
                }
                wake.notify_one();
            });
    }

    Directory& directory;
    const AuthLimits limits;
    const Clock clock;
    Backends* const backends;
    std::optional<BackendLogins> backend_logins;
    RememberedPasswords passwords;
    std::atomic<std::uint64_t> checked = 0, remembered = 0, turned_away = 0;

    std::mutex mutex;
    std::condition_variable wake;
    std::deque<Check> waiting;
    std::deque<std::function<void()>>
        jobs;               // what follows a back end's answers: as many as they may be asked
    std::vector<Use> uses;  // to be noted
    bool stopping = false;
    std::vector<std::jthread> threads;

    void work() {
        for (;;) {
            std::unique_lock lock(mutex);
            wake.wait(lock, [&] { return stopping || !jobs.empty() || !waiting.empty() || !uses.empty(); });
            if (stopping) return;
            if (!jobs.empty()) {
                const auto job = std::move(jobs.front());
                jobs.pop_front();
                lock.unlock();
                job();
                continue;
            }
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

    bool remembers(const Account& account, std::string_view password) {
        if (!account.backend.empty()) return backends != nullptr && backends->remembers(account, password);
        return !account.password.empty() && passwords.knows(account, password);
    }

    void note(const Use& use) const {
        if (const auto done = directory.note_app_password_use(use.account, use.app_password, use.when); !done)
            log::warning("auth.use_not_noted", {{"account", use.account}, {"error", done.error().text}});
    }

    void run(Check& check) {
        ++checked;
        AccountPtr account;
        Verdict verdict = too_busy();
        try {
            account = account_of_password(directory, check.user, check.password);
            if (account) passwords.remember(*account, check.password);
            if (!account)
                verdict = wrong_credentials();
            else if (takes_app_passwords_only(*account))
                verdict = wants_app_password(*account);
            else
                verdict = account;
        } catch (const std::bad_alloc&) {
            log::error("auth.memory", {{"hint", "no memory to check a password (19 MiB are needed)"}});
        }
        const bool entered = std::holds_alternative<AccountPtr>(verdict);
        let_in(std::move(verdict), check.authzid, check.user, check.done);
        if (entered) upgrade(*account, check.password);
    }

    // Whether a master asks for an account that is not here yet: a back end may know it.
    bool is_elsewhere(std::string_view authzid, std::string_view user) const {
        const std::string asked = fold_name(authzid);
        return backend_logins && !asked.empty() && asked != fold_name(user) && !directory.find_login(asked) &&
               backend_logins->concerns(asked);
    }

    // What comes after the password: the verdict on who has proven who he is.
    void let_in(Verdict proven, std::string_view authzid, std::string_view user,
                const std::function<void(Verdict)>& done) {
        const auto* account = std::get_if<AccountPtr>(&proven);
        if (account == nullptr) return done(std::move(proven));
        if (takes_app_passwords_only(**account)) return done(wants_app_password(**account));
        if (!(*account)->master || (*account)->disabled || !is_elsewhere(authzid, user))
            return done(admit(directory, *account, authzid, user));
        backend_logins->find(directory.names_to_ask(authzid), {},
                             [this, done, master = *account, asked = std::string(authzid),
                              name = std::string(user)](const Result<AccountPtr>& found) {
                                 if (!found && found.error().kind == ErrorKind::busy)
                                     return done(outage_refusal());
                                 done(admit(directory, master, asked, name));
                             });
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

Authenticator::Authenticator(Directory& directory, const AuthLimits& limits, Clock clock, Backends* backends)
    : impl_(std::make_unique<Impl>(directory, limits, std::move(clock), backends)) {
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
    for (std::deque<std::function<void()>> jobs; !impl_->jobs.empty();) {
        jobs.swap(impl_->jobs);  // one may bring another
        for (const auto& job : std::exchange(jobs, {}))
            job();
    }
    for (auto& check : left) {
        wipe(check.password);
        check.done(Refused{Refused::Why::busy, "The server is stopping; try again in a minute"});
    }
}

void Authenticator::check_password(std::string authzid, std::string user, std::string password,
                                   std::function<void(Verdict)> done, LoginOrigin origin) {
    if (impl_->backend_logins && impl_->backend_logins->concerns(user)) {
        ++impl_->checked;
        return impl_->backend_logins->check(
            user, std::move(password), origin,
            [impl = impl_.get(), authzid = std::move(authzid), user, done = std::move(done)](
                Verdict verdict) { impl->let_in(std::move(verdict), authzid, user, done); });
    }
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
    if (!account || !impl_->remembers(*account, password)) return std::nullopt;
    if (account->master && impl_->is_elsewhere(authzid, user)) return std::nullopt;
    ++impl_->remembered;
    if (takes_app_passwords_only(*account)) return wants_app_password(*account);
    return admit(impl_->directory, account, authzid, user);
}

std::optional<Verdict> Authenticator::app_password(std::string_view authzid, std::string_view user,
                                                   std::string_view typed, const LoginOrigin& origin) {
    const Time now = impl_->clock();
    const auto found = find_typed_app_password(impl_->directory, user, typed, origin, now);
    if (!found) return std::nullopt;
    // To the client as a wrong password, so that nobody learns from elsewhere that it is right.
    if (!found->refusal.empty()) {
        Refused refused = wrong_credentials();
        refused.reason = found->refusal;
        return refused;
    }
    Verdict verdict = admit(impl_->directory, found->account, authzid, user);
    const AppPassword& app_password = *found->app_password;
    if (std::holds_alternative<AccountPtr>(verdict) && now - app_password.used >= std::chrono::hours(1)) {
        std::lock_guard lock(impl_->mutex);
        if (impl_->uses.size() < uses_max)
            impl_->uses.push_back({found->account->name, app_password.name, now});
        impl_->wake.notify_one();
    }
    return verdict;
}

void Authenticator::find_recipients(std::string local, std::string domain,
                                    std::function<void(Result<Recipients>)> done) {
    if (!impl_->backend_logins) return done(impl_->directory.resolve(local, domain));
    impl_->backend_logins->find_recipients(std::move(local), std::move(domain), std::move(done));
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
    if (!account || account->disabled || takes_app_passwords_only(*account)) return made_up;
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
    if (takes_app_passwords_only(*account)) return wants_app_password(*account);
    return admit(impl_->directory, account, authzid, user);
}

Verdict Authenticator::identified(std::string_view authzid, std::string_view name) const {
    const AccountPtr account = impl_->directory.find_login(name);
    Refused refused = wrong_credentials();
    refused.reason = "nobody here has the name in the token or certificate";
    if (!account) return refused;
    refused.reason = "the token or certificate is for another account";
    if (!authzid.empty() && fold_name(authzid) != fold_name(name) &&
        impl_->directory.find_login(authzid) != account)
        return refused;
    if (account->disabled) return disabled_refusal(*account);
    return account;
}

std::optional<Refused> Authenticator::keeps_out(std::string_view name, const Account& entered,
                                                const LoginOrigin& origin) const {
    const AccountPtr named = name == entered.name ? nullptr : impl_->directory.find(name);
    const Account& account = named ? *named : entered;
    // To the client as a wrong password, so that nobody learns from elsewhere that it is right.
    Refused elsewhere = wrong_credentials();
    elsewhere.reason = "the account's networks do not include this address";
    if (!account.networks.admits(origin.address)) return elsewhere;
    if (!admits(account.protocols, origin.protocol))
        return Refused{Refused::Why::disabled, "This account may not log in by this protocol",
                       "the account may not log in by this protocol"};
    return std::nullopt;
}

bool Authenticator::is_master(std::string_view name) const {
    const AccountPtr account = impl_->directory.find(name);
    return account && account->master;
}

}  // namespace pier::auth
