// The way of every login, whatever the protocol: the guard, its delay, the check of the password, from which
// networks the account may log in; and the guard is told how it ended. Logs what failed.
//
// A master user (root, as "ada*root" or with an authzid) is a login of root's, for guard and networks; with
// event=login.master the log says whose mail he reads.
//
//   event=login.failed address=192.0.2.7 port=40000 protocol=pop3 listener=… user=… reason=…
//
// is the line that others may rely on (packaging/fail2ban): it is not changed without a word in
// docs/security.md.
//
// One for each connection, on its loop.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "auth/authenticator.h"
#include "auth/guard.h"
#include "auth/tokens.h"
#include "net/connection.h"
#include "serve/meters.h"

namespace pier::serve {

class LoginGate {
  public:
    // All of them outlive it.
    LoginGate(net::Connection& connection, auth::Authenticator& authenticator, auth::Guard& guard,
              std::string_view protocol, std::string_view listener);

    void set_meters(ProtocolMeters* meters) { meters_ = meters; }  // outlive it; null: nothing is counted

    // A login by password.
    net::Task<auth::Verdict> check(std::string_view authzid, std::string_view user,
                                   const std::string& password);

    // A login by a token, which says whose it is. `authzid`: whom the client takes itself for; may be empty.
    net::Task<auth::Verdict> check_token(std::string_view authzid, const std::string& token,
                                         auth::Tokens& tokens);
    // A login by a certificate, which was verified and has these names.
    net::Task<auth::Verdict> check_certificate(std::string_view authzid,
                                               const std::vector<std::string>& names);

    // A login by SCRAM: its keys, or a refusal, which ends it; then either proven() or wrong_proof().
    net::Task<std::variant<wire::ScramKeys, auth::Refused>> begin_proof(std::string_view user,
                                                                        wire::ScramHash hash);
    auth::Verdict proven(std::string_view authzid, std::string_view user);
    void wrong_proof(std::string_view user);

    // The connection has ended without a login and was up to no good: "no login", "bad commands", "tls".
    void strike(std::string_view what);

  private:
    using Attempt = auth::Guard::Attempt;
    void count(Mechanism mechanism, LoginOutcome outcome) {
        if (meters_ != nullptr) meters_->count_login(mechanism, outcome);
    }
    auth::Verdict counted(Mechanism mechanism, auth::Verdict verdict) {
        count(mechanism, outcome_of(verdict));
        return verdict;
    }
    // By an app password, or by one that was checked before; absent: it has to be checked.
    std::optional<auth::Verdict> at_once(std::string_view authzid, std::string_view user,
                                         std::string_view password);
    net::Task<std::variant<Attempt, auth::Refused>> begin(std::string_view user, std::string_view name);
    auth::Verdict end(Attempt& attempt, auth::Verdict verdict, std::string_view user, std::string_view name,
                      std::string_view password);
    net::Task<auth::Verdict> identify(std::string_view authzid, std::string_view name);
    auth::Verdict end_identified(Attempt& attempt, auth::Verdict verdict, std::string_view user,
                                 std::string_view shown);
    // Why the account `name`, whose password it was, may not log in from here. It is another one than the one
    // that is entered when a master logs in.
    std::optional<auth::Refused> keeps_out(std::string_view name, const auth::Account& entered) const;
    void log_if_master(std::string_view name, const auth::Account& entered) const;
    // Who comes over a Unix socket counts as a program of this machine.
    IpAddress address() const;
    void log_failure(std::string_view event, std::string_view user, std::string_view reason) const;

    net::Connection& connection_;
    auth::Authenticator& authenticator_;
    auth::Guard& guard_;
    std::string_view protocol_, listener_;
    ProtocolMeters* meters_ = nullptr;
    // The SCRAM exchange under way, if any: so that the many sessions without one hold no room for it.
    struct Proof {
        Attempt attempt;
        wire::ScramKeys keys;
    };
    std::unique_ptr<Proof> proving_;
};

}  // namespace pier::serve
