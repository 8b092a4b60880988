#include "serve/login_gate.h"

#include <utility>

#include "auth/name.h"
#include "base/log.h"

namespace pier::serve {
namespace {

using auth::AccountPtr;
using auth::Guard;
using auth::Refused;
using auth::Verdict;
using net::Task;

Refused held() {
    return {Refused::Why::held, "Too many failed logins; try again later"};
}

Refused wrong_credentials() {
    return {Refused::Why::credentials, "Authentication failed"};
}

std::string_view reason_of(const Refused& refused) {
    if (!refused.reason.empty()) return refused.reason;
    switch (refused.why) {
        case Refused::Why::credentials:
            return "wrong name or password";
        case Refused::Why::disabled:
            return "the account is disabled";
        case Refused::Why::busy:
            return "too many logins at this moment";
        case Refused::Why::held:
            return "held by the guard";
        case Refused::Why::outage:
            return "the back end that knows the account cannot be asked";
    }
    return "unknown";
}

}  // namespace

LoginGate::LoginGate(net::Connection& connection, auth::Authenticator& authenticator, Guard& guard,
                     std::string_view protocol, std::string_view listener)
    : connection_(connection),
      authenticator_(authenticator),
      guard_(guard),
      protocol_(protocol),
      listener_(listener) {}

IpAddress LoginGate::address() const {
    const net::Endpoint& peer = connection_.peer();
    return peer.is_unix() ? IpAddress(boost::asio::ip::address_v4::loopback()) : peer.address;
}

void LoginGate::log_failure(std::string_view event, std::string_view user, std::string_view reason) const {
    const net::Endpoint& peer = connection_.peer();
    log::warning(event, {{"address", address().to_string()},
                         {"port", peer.port},
                         {"protocol", protocol_},
                         {"listener", listener_},
                         {"user", user},
                         {"reason", reason}});
}

// The guard's leave to look at a password, when its delay is over.
Task<std::variant<Guard::Attempt, Refused>> LoginGate::begin(std::string_view user, std::string_view name) {
    using Begun = std::variant<Attempt, Refused>;
    while (true) {
        Guard::Decision decision = guard_.begin(address(), name);
        if (const auto* refusal = std::get_if<Guard::Refusal>(&decision)) {
            log_failure("login.refused", user, refusal->reason);
            co_return Begun(held());
        }
        if (auto* attempt = std::get_if<Attempt>(&decision)) {
            Attempt begun = std::move(*attempt);
            auto paused = co_await connection_.pause(begun.delay());
            if (!paused) co_return Begun(held());
            co_return Begun(std::move(begun));
        }
        co_await net::completion<bool>(
            connection_.loop(), [this](auto done) { guard_.when_changed([done]() mutable { done(true); }); });
        // The time for logging in may be over, or the server stopping.
        auto paused = co_await connection_.pause(std::chrono::seconds(0));
        if (!paused) co_return Begun(held());
    }
}

Verdict LoginGate::end(Attempt& attempt, Verdict verdict, std::string_view user, std::string_view name,
                       std::string_view password) {
    if (const auto* account = std::get_if<AccountPtr>(&verdict)) {
        auto refused = keeps_out(name, **account);
        if (!refused) {
            attempt.succeeded();
            log_if_master(name, **account);
            return verdict;
        }
        verdict = std::move(*refused);
    }
    const Refused& refused = std::get<Refused>(verdict);
    // Not login.failed, on which others may block the address: he has done nothing wrong.
    log_failure(refused.why == Refused::Why::outage ? "login.unchecked" : "login.failed", user,
                reason_of(refused));
    if (refused.why == Refused::Why::credentials) attempt.failed(password);
    return verdict;
}

std::optional<Refused> LoginGate::keeps_out(std::string_view name, const auth::Account& entered) const {
    return authenticator_.keeps_out(name, entered, {protocol_, address()});
}

void LoginGate::log_if_master(std::string_view name, const auth::Account& entered) const {
    if (name == entered.name || !authenticator_.is_master(name)) return;
    log::info("login.master", {{"address", address().to_string()},
                               {"port", connection_.peer().port},
                               {"protocol", protocol_},
                               {"listener", listener_},
                               {"user", entered.name},
                               {"master", name}});
}

std::optional<Verdict> LoginGate::at_once(std::string_view authzid, std::string_view user,
                                          std::string_view password) {
    auto verdict = authenticator_.app_password(authzid, user, password, {protocol_, address()});
    return verdict ? std::move(verdict) : authenticator_.remembered(authzid, user, password);
}

Task<Verdict> LoginGate::check(std::string_view asked, std::string_view typed, const std::string& password) {
    const auth::LoginName login = auth::split_login(asked, typed);
    const std::string name = authenticator_.name_of(login.user);
    if (guard_.nothing_against(address(), name)) {
        auto known = at_once(login.authzid, login.user, password);
        const auto* account = known ? std::get_if<AccountPtr>(&*known) : nullptr;
        if (account && !keeps_out(name, **account)) {
            guard_.succeeded(address(), name);
            log_if_master(name, **account);
            co_return counted(Mechanism::password, std::move(*known));
        }
    }
    auto begun = co_await begin(login.user, name);
    if (auto* refused = std::get_if<Refused>(&begun))
        co_return counted(Mechanism::password, std::move(*refused));
    auto verdict = at_once(login.authzid, login.user, password);
    if (!verdict)
        verdict = co_await net::completion<Verdict>(connection_.loop(), [&](auto done) {
            authenticator_.check_password(std::string(login.authzid), std::string(login.user), password,
                                          std::move(done), {protocol_, address()});
        });
    co_return counted(Mechanism::password,
                      end(std::get<Attempt>(begun), std::move(*verdict), login.user, name, password));
}

// Somebody of whom so far only a back end knows gets an account first.
Task<Verdict> LoginGate::identify(std::string_view authzid, std::string_view name) {
    Verdict verdict = authenticator_.identified(authzid, name);
    const auto* refused = std::get_if<Refused>(&verdict);
    if (refused == nullptr || refused->why != Refused::Why::credentials) co_return verdict;
    const std::size_t at = name.rfind('@');
    const std::string local(name.substr(0, at));
    const std::string domain(at == std::string_view::npos ? std::string_view() : name.substr(at + 1));
    const auto found = co_await net::completion<Result<auth::Recipients>>(connection_.loop(), [&](auto done) {
        authenticator_.find_recipients(local, domain, std::move(done));
    });
    if (!found && found.error().kind == ErrorKind::busy)
        co_return Verdict(
            Refused{Refused::Why::outage, "The account cannot be looked up now; try again later"});
    co_return authenticator_.identified(authzid, name);
}

// As end(), when the account is known by what was shown, and not by a name that was typed.
Verdict LoginGate::end_identified(Attempt& attempt, Verdict verdict, std::string_view user,
                                  std::string_view shown) {
    const auto* account = std::get_if<AccountPtr>(&verdict);
    if (account == nullptr) return end(attempt, std::move(verdict), user, {}, shown);
    const std::string name = (*account)->name;
    verdict = end(attempt, std::move(verdict), user, name, shown);
    // The attempt may have been counted under another name.
    if (std::holds_alternative<AccountPtr>(verdict)) guard_.succeeded(address(), name);
    return verdict;
}

Task<Verdict> LoginGate::check_token(std::string_view authzid, const std::string& token,
                                     auth::Tokens& tokens) {
    // Who does not say whom he takes himself for is counted by his address: no name of an account stands for
    // him that others could have blocked.
    const std::string name = authzid.empty() ? address().to_string() : authenticator_.name_of(authzid);
    auto begun = co_await begin(authzid, name);
    if (auto* refused = std::get_if<Refused>(&begun))
        co_return counted(Mechanism::token, std::move(*refused));
    auto& attempt = std::get<Attempt>(begun);
    const auto said = co_await net::completion<auth::TokenVerdict>(
        connection_.loop(), [&](auto done) { tokens.check(token, std::move(done)); });
    if (std::holds_alternative<auth::TokenOutage>(said)) {
        Refused refused{Refused::Why::outage, "The issuer of the token cannot be asked now; try again later"};
        refused.reason = "the issuer of the token cannot be asked";
        co_return counted(Mechanism::token, end(attempt, std::move(refused), authzid, name, token));
    }
    if (const auto* wrong = std::get_if<auth::TokenWrong>(&said)) {
        Refused refused = wrong_credentials();
        refused.reason = wrong->reason;
        co_return counted(Mechanism::token, end(attempt, std::move(refused), authzid, name, token));
    }
    const std::string& user = std::get<auth::TokenIdentity>(said).user;
    Verdict verdict = co_await identify(authzid, user);
    co_return counted(Mechanism::token, end_identified(attempt, std::move(verdict), user, token));
}

Task<Verdict> LoginGate::check_certificate(std::string_view authzid, const std::vector<std::string>& names) {
    const std::string name =
        authenticator_.name_of(authzid.empty() ? std::string_view(names.front()) : authzid);
    auto begun = co_await begin(name, name);
    if (auto* refused = std::get_if<Refused>(&begun))
        co_return counted(Mechanism::certificate, std::move(*refused));
    Verdict verdict;
    for (const std::string& each : names) {
        verdict = co_await identify(authzid, each);
        const auto* refused = std::get_if<Refused>(&verdict);
        if (refused == nullptr || refused->why != Refused::Why::credentials) break;
    }
    co_return counted(Mechanism::certificate,
                      end_identified(std::get<Attempt>(begun), std::move(verdict), name, names.front()));
}

Task<std::variant<wire::ScramKeys, Refused>> LoginGate::begin_proof(std::string_view typed,
                                                                    wire::ScramHash hash) {
    const std::string_view user = auth::split_login({}, typed).user;
    using Given = std::variant<wire::ScramKeys, Refused>;
    proving_.reset();
    const std::string name = authenticator_.name_of(user);
    auto begun = co_await begin(user, name);
    if (auto* refused = std::get_if<Refused>(&begun)) {
        count(Mechanism::scram, outcome_of(*refused));
        co_return Given(std::move(*refused));
    }
    wire::ScramKeys keys = authenticator_.scram_keys(user, hash);
    proving_ = std::make_unique<Proof>(Proof{std::move(std::get<Attempt>(begun)), keys});
    co_return Given(std::move(keys));
}

Verdict LoginGate::proven(std::string_view asked, std::string_view typed) {
    const auto [authzid, user] = auth::split_login(asked, typed);
    const auto proof = std::exchange(proving_, nullptr);
    return counted(Mechanism::scram, end(proof->attempt, authenticator_.proven(authzid, user, proof->keys),
                                         user, authenticator_.name_of(user), {}));
}

void LoginGate::wrong_proof(std::string_view typed) {
    const auto proof = std::exchange(proving_, nullptr);
    log_failure("login.failed", auth::split_login({}, typed).user, "wrong SCRAM proof");
    proof->attempt.failed();
    count(Mechanism::scram, LoginOutcome::credentials);
}

void LoginGate::strike(std::string_view what) {
    if (connection_.is_own_visit()) return;
    guard_.strike(address(), what);
}

}  // namespace pier::serve
