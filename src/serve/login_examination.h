// Why a login would succeed or fail: every gate between a client and its mailbox, in the order in which the
// server decides, each asked of the part that decides about real logins. Nothing is counted as a login, no
// failure is noted by the guard, and nothing is logged. Waits (a password is hashed, a back end is asked):
// not on an event loop. Any thread, while the server runs.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/authenticator.h"
#include "auth/backend.h"
#include "auth/directory.h"
#include "auth/guard.h"
#include "serve/account_sessions.h"
#include "serve/leases.h"
#include "serve/listener_tls.h"
#include "serve/login_delay.h"
#include "serve/server.h"

namespace pier::serve {

struct LoginGateReport {
    enum class State {
        passes,
        unknown,  // it could not be told: no password was given
        holds,    // lets in, but late or under a condition
        stops
    };
    std::string gate;  // "connection", "tls", "guard" …: docs/doctor.md has them in their order
    State state = State::passes;
    std::string code;  // for programs; empty where there is nothing to find
    std::string text;  // one sentence
    std::string step;  // the command or the change that mends it; empty: nothing is wrong
};
std::string_view to_string(LoginGateReport::State state);

// Who wants to log in, from where and how.
struct LoginQuestion {
    std::string user;  // as typed: "ada", "ada*root"
    IpAddress from;
    std::string protocol = "pop3";  // as accounts name it
    bool tls = true;                // the client uses it
    std::optional<std::string> password;
};

// By which listener.
struct LoginWay {
    std::string listener;
    TlsUse tls = TlsUse::none;
    ClearLogin clear_login = ClearLogin::loopback;
};

// Those who decide; they outlive the call.
struct LoginJudges {
    Server& server;
    auth::Guard& guard;
    const auth::Authenticator& authenticator;
    const auth::Directory& directory;
    auth::Backends* back_ends = nullptr;  // null: none
    const AccountSessions& sessions;
    const Leases& leases;
    const LoginDelay& login_delay;
    bool exclusive = false;  // every maildrop is
    Clock clock = system_now;
};

// All gates that can be looked at: also those behind one that stops. The caller wipes the password.
std::vector<LoginGateReport> examine_login(const LoginJudges& judges, const LoginWay& way,
                                           const LoginQuestion& question);

}  // namespace pier::serve
