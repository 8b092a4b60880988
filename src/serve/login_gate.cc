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
        if (may_come(name, **account)) {
            attempt.succeeded();
            log_if_master(name, **account);
            return verdict;
        }
        // To the client as a wrong password, so that nobody learns from elsewhere that it is right.
        log_failure("login.failed", user, "the account's networks do not include this address");
        attempt.failed(password);
        return wrong_credentials();
    }
    const Refused& refused = std::get<Refused>(verdict);
    log_failure("login.failed", user, reason_of(refused));
    if (refused.why == Refused::Why::credentials) attempt.failed(password);
    return verdict;
}

bool LoginGate::may_come(std::string_view name, const auth::Account& entered) const {
    return name == entered.name ? entered.networks.admits(address()) : authenticator_.admits(name, address());
}

void LoginGate::log_if_master(std::string_view name, const auth::Account& entered) const {
    if (name == entered.name) return;
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
        if (account && may_come(name, **account)) {
            guard_.succeeded(address(), name);
            log_if_master(name, **account);
            co_return std::move(*known);
        }
    }
    auto begun = co_await begin(login.user, name);
    if (auto* refused = std::get_if<Refused>(&begun)) co_return Verdict(std::move(*refused));
    auto verdict = at_once(login.authzid, login.user, password);
    if (!verdict)
        verdict = co_await net::completion<Verdict>(connection_.loop(), [&](auto done) {
            authenticator_.check_password(std::string(login.authzid), std::string(login.user), password,
                                          std::move(done));
        });
    co_return end(std::get<Attempt>(begun), std::move(*verdict), login.user, name, password);
}

Task<std::variant<wire::ScramKeys, Refused>> LoginGate::begin_proof(std::string_view typed,
                                                                    wire::ScramHash hash) {
    const std::string_view user = auth::split_login({}, typed).user;
    using Given = std::variant<wire::ScramKeys, Refused>;
    proving_.reset();
    const std::string name = authenticator_.name_of(user);
    auto begun = co_await begin(user, name);
    if (auto* refused = std::get_if<Refused>(&begun)) co_return Given(std::move(*refused));
    wire::ScramKeys keys = authenticator_.scram_keys(user, hash);
    proving_ = std::make_unique<Proof>(Proof{std::move(std::get<Attempt>(begun)), keys});
    co_return Given(std::move(keys));
}

Verdict LoginGate::proven(std::string_view asked, std::string_view typed) {
    const auto [authzid, user] = auth::split_login(asked, typed);
    const auto proof = std::exchange(proving_, nullptr);
    return end(proof->attempt, authenticator_.proven(authzid, user, proof->keys), user,
               authenticator_.name_of(user), {});
}

void LoginGate::wrong_proof(std::string_view typed) {
    const auto proof = std::exchange(proving_, nullptr);
    log_failure("login.failed", auth::split_login({}, typed).user, "wrong SCRAM proof");
    proof->attempt.failed();
}

void LoginGate::strike(std::string_view what) {
    guard_.strike(address(), what);
}

}  // namespace pier::serve
