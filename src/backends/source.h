// What one kind of back end implements: a Source answers who somebody is. It lives in the worker process
// (process.h, worker.h), which is outside the sandbox of the server: there it may open files, connect, wait
// and load libraries.
//
//   1. Settings (settings.h) get what the kind needs; main/config_backends.cc describes the keys.
//   2. open_sql(const Settings&) -> Result<MakeSource>, named in the table of kinds.cc.
//   3. MakeSource is called once in each of Settings::threads threads; a Source is used by that thread alone,
//      so it may hold a connection of its own. What threads share is held by the closure (shared_ptr).
//
// Rules of a Source:
//   - It connects at the first request, not when it is made, and again after a failure. One retry at once is
//     right when an idle connection turns out to be broken; more than that is for the client.
//   - It waits no longer than Settings::timeout in all: afterwards the server has told the client of an
//     outage. Whatever it cannot find out is an Outage, never UnknownUser or WrongPassword.
//   - Names have passed auth::account_name(): lower case, no control characters, but UTF-8. They are data all
//     the same: escape or bind them.
//   - Passwords never come into a text, a log line or an error. Copies are wiped (auth::wipe).
//   - Outage::text goes to the log, for the administrator: cause and next step, without secrets. The client
//     is told that it is temporary, and nothing else.
//   - It logs nothing by itself when it answers; pier::log may be used for what stands in no answer (a broken
//     line in a file).
//   - It throws nothing but std::bad_alloc, which the worker answers as an outage.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "backends/settings.h"
#include "base/network.h"
#include "base/result.h"

namespace pier::backends {

// What a back end says of a user whom it knows. What is absent is left to the account's record.
struct User {
    // His account's name, if it is another one than he was asked for ("Ada.Lovelace@example.org" -> "ada").
    std::string name{};
    std::optional<std::uint64_t> quota_octets{};  // 0: no quota
    std::optional<Networks> allow{};              // from where he may log in; empty: from everywhere
};

struct Found {
    User user{};
};
struct UnknownUser {};    // the next back end is asked
struct WrongPassword {};  // the end: nobody else is asked
// The password is right, and he may not log in all the same: expired, locked. `reason` goes to the log, in
// plain words; the client is told that the account is disabled.
struct NotAllowed {
    std::string reason{};
};
struct Outage {
    std::string text{};
};
using Answer = std::variant<Found, UnknownUser, WrongPassword, NotAllowed, Outage>;

// A login as the server has it.
struct Login {
    std::string name{};      // one of those that Settings::names asks for
    std::string password{};  // wiped by the worker afterwards
    std::string protocol{};  // "pop3"
    std::string address{};   // the client's, as text; empty: not known
};

class Source {
  public:
    virtual ~Source() = default;

    // Whether that password is the user's. An empty password is never asked (LDAP would take it as
    // anonymous).
    virtual Answer check(const Login& login) = 0;

    // Whether there is such a user, to whom mail may be delivered: Found, UnknownUser or Outage. Somebody who
    // may not log in is still Found: his mail must not bounce.
    virtual Answer find(const std::string& name) = 0;
};

// Makes one Source for a thread of the worker. Cheap: it connects nowhere.
using MakeSource = std::function<std::unique_ptr<Source>()>;

}  // namespace pier::backends
