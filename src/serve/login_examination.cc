#include "serve/login_examination.h"

#include <future>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "auth/login_rules.h"
#include "auth/name.h"
#include "serve/login_offer.h"

namespace pier::serve {
namespace {

using auth::AccountPtr;
using auth::Guard;
using State = LoginGateReport::State;

// One examination under way.
class Examination {
  public:
    Examination(const LoginJudges& judges, const LoginWay& way, const LoginQuestion& question)
        : judges_(judges),
          way_(way),
          question_(question),
          login_(auth::split_login({}, question.user)),
          name_(judges.authenticator.name_of(login_.user)) {}

    std::vector<LoginGateReport> run() {
        ask_server();
        ask_tls();
        ask_guard();
        if (!find_account()) return std::move(gates_);
        ask_password();
        ask_kind_of_password();
        const AccountPtr entered = admit();
        if (!entered) return std::move(gates_);
        ask_origin(*entered);
        ask_sessions(*entered);
        if (question_.protocol == "pop3") ask_maildrop(*entered);
        return std::move(gates_);
    }

  private:
    auth::LoginOrigin origin() const { return {question_.protocol, question_.from}; }
    std::string from() const { return question_.from.to_string(); }

    void pass(std::string gate, std::string text) {
        gates_.push_back({std::move(gate), State::passes, {}, std::move(text), {}});
    }
    void stop(std::string gate, std::string code, std::string text, std::string step) {
        gates_.push_back({std::move(gate), State::stops, std::move(code), std::move(text), std::move(step)});
    }
    void hold(std::string gate, std::string code, std::string text, std::string step) {
        gates_.push_back({std::move(gate), State::holds, std::move(code), std::move(text), std::move(step)});
    }

    void ask_server();
    void ask_tls();
    void ask_guard();
    bool find_account();
    bool find_elsewhere(std::vector<std::string> names, std::string back_end);
    void ask_password();
    void ask_back_end();
    void take(const auth::FoundAppPassword& found);
    void ask_kind_of_password();
    AccountPtr admit();
    void ask_origin(const auth::Account& entered);
    void ask_sessions(const auth::Account& entered);
    void ask_maildrop(const auth::Account& entered);

    using Ask = void (auth::Backends::*)(auth::BackendQuestion, auth::Backends::Done);
    auth::BackendAnswer answer(Ask ask, auth::BackendQuestion what) const {
        std::promise<auth::BackendAnswer> promise;
        auto future = promise.get_future();
        (judges_.back_ends->*ask)(
            std::move(what), [&promise](auth::BackendAnswer said) { promise.set_value(std::move(said)); });
        return future.get();
    }

    const LoginJudges& judges_;
    const LoginWay& way_;
    const LoginQuestion& question_;
    const auth::LoginName login_;
    const std::string name_;  // the account's, or what was typed
    AccountPtr account_;      // whose password it is; null: only a back end knows it
    bool by_app_password_ = false;
    std::vector<LoginGateReport> gates_;
};

void Examination::ask_server() {
    const auto why = judges_.server.would_refuse(way_.listener, {question_.from, 0, ""});
    const auto listener = fmt::format("listener {}", way_.listener);
    if (!why) return pass("connection", fmt::format("the {} takes connections from {}", listener, from()));
    const auto stops = [&](std::string code, std::string text, std::string step) {
        stop("connection", std::move(code), std::move(text), std::move(step));
    };
    switch (*why) {
        case Refusal::network:
            return stops(
                "address_denied",
                fmt::format("the networks of the {} (allow, deny) do not include {}", listener, from()),
                "change allow or deny of that [[listener]], then: systemctl restart pier");
        case Refusal::blocked:
            return stops("guard_blocks",
                         fmt::format("the guard closes every connection from {} at once", from()),
                         fmt::format("pier guard unblock {}", from()));
        case Refusal::draining:
            return stops("draining", "the server is draining and takes nobody new", "pier drain --end");
        case Refusal::memory:
            return stops(
                "memory_short", "the server is short of memory and takes nobody new",
                "give the machine or the unit (MemoryMax) more memory, then: systemctl restart pier");
        case Refusal::descriptors:
            return stops("descriptors_short", "the server has no file descriptors left for another session",
                         "raise LimitNOFILE: systemctl edit pier; then: systemctl restart pier");
        case Refusal::in_all:
            return stops("connections_full", "as many connections are open as limits.connections_max allows",
                         "raise limits.connections_max, then: systemctl restart pier");
        case Refusal::per_address:
            return stops(
                "connections_per_address",
                fmt::format("{} has as many connections as limits.connections_per_address_max allows",
                            from()),
                "close some, or raise limits.connections_per_address_max, then: systemctl restart pier");
        case Refusal::rate:
            return stops(
                "connection_rate",
                fmt::format("{} has begun as many connections within a minute as "
                            "limits.new_connections_per_minute_max allows",
                            from()),
                "wait a minute, or raise limits.new_connections_per_minute_max, then: systemctl restart "
                "pier");
        case Refusal::proxy:
            break;  // of a proxy's connection alone
    }
}

void Examination::ask_tls() {
    if (question_.tls) {
        if (way_.tls == TlsUse::none)
            return stop(
                "tls", "tls_not_offered", fmt::format("the listener {} offers no TLS", way_.listener),
                "name a certificate in [tls] and give the listener tls = \"starttls\" or \"implicit\", then: "
                "systemctl restart pier");
        return pass("tls", way_.tls == TlsUse::implicit ? "the connection begins with TLS"
                                                        : "the client asks for TLS before it logs in");
    }
    if (way_.tls == TlsUse::implicit)
        return stop("tls", "tls_needed", fmt::format("the listener {} begins with TLS", way_.listener),
                    "let the client use TLS (\"SSL/TLS\") on that port");
    const net::Endpoint peer{question_.from, 0, ""};
    if (!clear_login_allowed(peer, way_.clear_login))
        return stop(
            "tls", "clear_login_refused",
            fmt::format("passwords are not taken in clear from {}: without TLS, logins are refused", from()),
            "let the client use TLS (\"STARTTLS\"), or set clear_login of that [[listener]]");
    pass("tls", "passwords are taken without TLS from there");
}

// A login under way is over at once, and has changed nothing.
void Examination::ask_guard() {
    const auto decision = judges_.guard.begin(question_.from, name_);
    if (const auto* refusal = std::get_if<Guard::Refusal>(&decision))
        return stop(
            "guard", "guard_blocks",
            fmt::format("the guard refuses {} from {} until {}: {}", name_, from(),
                        to_rfc3339(refusal->until), refusal->reason),
            fmt::format("pier guard unblock {0}    (and: pier guard unblock --account {1})", from(), name_));
    if (const auto* attempt = std::get_if<Guard::Attempt>(&decision)) {
        if (attempt->delay().count() == 0) return pass("guard", "the guard holds nothing against it");
        return hold(
            "guard", "guard_delays",
            fmt::format("after wrong passwords the guard lets it wait {} s before its password is looked at",
                        attempt->delay().count()),
            fmt::format("pier guard unblock {}", from()));
    }
    hold("guard", "guard_delays", "the guard lets it wait until other logins are checked",
         "wait some seconds");
}

bool Examination::find_account() {
    account_ = judges_.directory.find_login(login_.user);
    if (account_ && account_->backend.empty()) {
        pass("account", fmt::format("the account {} is built in", account_->name));
        return true;
    }
    if (judges_.back_ends != nullptr) {
        auto names = judges_.directory.names_to_ask(login_.user);
        if (!names.empty())
            return find_elsewhere(std::move(names), account_ ? account_->backend : std::string());
    }
    if (account_) {
        stop("account", "account_unknown",
             fmt::format("the account {} belongs to the back end {}, which is not configured", account_->name,
                         account_->backend),
             fmt::format("put the [[backend]] back, or: pier account remove {}", account_->name));
        return false;
    }
    stop("account", "account_unknown",
         fmt::format("there is no account {}{}", name_,
                     judges_.back_ends == nullptr ? "" : ", and no name that a back end could know"),
         fmt::format("pier account list; to make it: pier account add {}", name_));
    return false;
}

bool Examination::find_elsewhere(std::vector<std::string> names, std::string back_end) {
    const auto said = answer(&auth::Backends::find,
                             {.names = std::move(names), .backend = std::move(back_end), .origin = origin()});
    if (const auto* user = std::get_if<auth::BackendUser>(&said)) {
        pass("account", fmt::format("the back end {} knows {}", user->backend, user->name));
        return true;
    }
    if (const auto* outage = std::get_if<auth::BackendOutage>(&said)) {
        stop("account", "backend_down",
             fmt::format("a back end cannot be asked about {}: {}", name_, outage->text),
             "pier status (backends); bring up what it asks");
        return false;
    }
    stop("account", "account_unknown", fmt::format("neither Pier nor a back end knows {}", name_),
         fmt::format("add the user there, or: pier account add {}", name_));
    return false;
}

void Examination::take(const auth::FoundAppPassword& found) {
    by_app_password_ = true;
    const std::string& name = found.app_password->name;
    if (found.refusal.empty()) return pass("password", fmt::format("it is the app password \"{}\"", name));
    const auto says = [&](std::string_view word) {
        return found.refusal.find(word) != std::string_view::npos;
    };
    const char* code = says("expired")    ? "app_password_expired"
                       : says("protocol") ? "app_password_protocol"
                                          : "app_password_network";
    stop("password", code, fmt::format("{} (\"{}\")", found.refusal, name),
         fmt::format("make another one: pier account app-password add {} NAME", account_->name));
}

void Examination::ask_password() {
    if (!question_.password) {
        gates_.push_back(
            {"password", State::unknown, {}, "no password was given, so none was looked at", {}});
        return;
    }
    const std::string& typed = *question_.password;
    if (account_) {
        if (const auto found = auth::find_typed_app_password(judges_.directory, login_.user, typed, origin(),
                                                             judges_.clock()))
            return take(*found);
    }
    if (!account_ || !account_->backend.empty()) return ask_back_end();
    if (auth::account_of_password(judges_.directory, login_.user, typed))
        return pass("password", "it is the account's own password");
    stop("password", "wrong_password",
         fmt::format("it is neither the password nor an app password of {}", name_),
         fmt::format("pier account passwd {}", name_));
}

void Examination::ask_back_end() {
    const auto said = answer(&auth::Backends::check, {.names = judges_.directory.names_to_ask(login_.user),
                                                      .backend = account_ ? account_->backend : std::string(),
                                                      .password = *question_.password,
                                                      .origin = origin()});
    if (const auto* user = std::get_if<auth::BackendUser>(&said))
        return pass("password", fmt::format("the back end {} says that it is right", user->backend));
    if (const auto* denied = std::get_if<auth::BackendDenied>(&said))
        return stop(
            "password", "backend_denies",
            fmt::format("the password is right, and the back end lets {} not in: {}", name_, denied->reason),
            "enable the user there");
    if (const auto* outage = std::get_if<auth::BackendOutage>(&said))
        return stop("password", "backend_down", fmt::format("the back end cannot be asked: {}", outage->text),
                    "pier status (backends); bring up what it asks");
    stop("password", "wrong_password",
         fmt::format("the back end says that it is not the password of {}", name_), "set the password there");
}

void Examination::ask_kind_of_password() {
    if (!account_ || by_app_password_ || !auth::takes_app_passwords_only(*account_)) return;
    const std::string text(auth::wants_app_password(*account_).reason);
    const std::string step = fmt::format("pier account app-password add {} NAME", account_->name);
    if (question_.password && gates_.back().state == State::passes)
        return stop("app_password", "app_password_needed", text, step);
    hold("app_password", "app_password_needed", text, step);
}

// Null: nobody whose further gates could be looked at.
AccountPtr Examination::admit() {
    if (!account_) {
        pass("admission", "its account is made at the first login");
        return nullptr;
    }
    auto verdict = auth::admit(judges_.directory, account_, login_.authzid, login_.user);
    if (auto* entered = std::get_if<AccountPtr>(&verdict)) {
        pass("admission",
             (*entered)->name == account_->name
                 ? "the account is not disabled"
                 : fmt::format("{} is a master user, who enters {}", account_->name, (*entered)->name));
        return std::move(*entered);
    }
    const auto& refused = std::get<auth::Refused>(verdict);
    if (refused.why == auth::Refused::Why::disabled) {
        stop("admission", "account_disabled",
             refused.detail.empty()
                 ? fmt::format("the account {} is disabled", account_->name)
                 : fmt::format("the account {} is disabled: \"{}\"", account_->name, refused.detail),
             fmt::format("pier account enable {}", account_->name));
        return account_;
    }
    stop("admission", "master_refused", std::string(refused.reason),
         fmt::format("pier account change {} --master on, if it shall be one", account_->name));
    return account_;
}

void Examination::ask_origin(const auth::Account& entered) {
    const auto refused = judges_.authenticator.keeps_out(name_, entered, origin());
    if (!refused)
        return pass("origin", fmt::format("it may log in from {} and by {}", from(), question_.protocol));
    const bool protocol = refused->why == auth::Refused::Why::disabled;
    stop("origin", protocol ? "account_protocol_denied" : "account_address_denied",
         protocol ? fmt::format("the account {} may not log in by {}", name_, question_.protocol)
                  : fmt::format("the networks of the account {} do not include {}", name_, from()),
         protocol ? fmt::format("pier account protocols {} all", name_)
                  : fmt::format("pier account allow {0} any; pier account deny {0} none", name_));
}

void Examination::ask_sessions(const auth::Account& entered) {
    if (!judges_.sessions.is_full(entered.id))
        return pass("sessions", "the account may have one more session");
    stop("sessions", "account_sessions_full",
         fmt::format("{} has as many sessions as limits.sessions_per_account_max allows", entered.name),
         "close one of them, or raise limits.sessions_per_account_max, then: systemctl restart pier");
}

void Examination::ask_maildrop(const auth::Account& entered) {
    const auto wait = judges_.login_delay.remaining(entered.id);
    if (wait.count() > 0)
        stop("login_delay", "login_delay",
             fmt::format(
                 "{} logged in a short while ago, and has to wait {} s more (pop3.login_delay is {} s)",
                 entered.name, wait.count(), judges_.login_delay.delay().count()),
             "let the client poll less often, or lower pop3.login_delay, then: systemctl restart pier");
    else
        pass("login_delay", "no login of the account was too short a while ago");
    const bool locked = entered.exclusive || judges_.exclusive;
    if (const auto holder = locked ? judges_.leases.holder(entered.id) : std::nullopt)
        return stop(
            "maildrop", "maildrop_locked",
            fmt::format("the maildrop is in use by {} since {}", holder->peer, to_rfc3339(holder->since)),
            fmt::format(
                "wait until that session ends, or let several in: pier account change {} --exclusive off",
                entered.name));
    pass("maildrop", locked ? "nobody else has the maildrop" : "several sessions may have the maildrop");
}

}  // namespace

std::string_view to_string(State state) {
    switch (state) {
        case State::passes:
            return "passes";
        case State::unknown:
            return "unknown";
        case State::holds:
            return "holds";
        case State::stops:
            return "stops";
    }
    return "unknown";
}

std::vector<LoginGateReport> examine_login(const LoginJudges& judges, const LoginWay& way,
                                           const LoginQuestion& question) {
    return Examination(judges, way, question).run();
}

}  // namespace pier::serve
