// What submission (RFC 6409) has beside SMTP: the login, whose addresses may be used, what the header must
// and shall have, and how much an account may send.
//
// One Submission for each connection, on its loop. It never alters what the client has written: it refuses a
// message, or puts fields in front of it that are missing (RFC 6409 §8).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "auth/authenticator.h"
#include "auth/sender.h"
#include "auth/tokens.h"
#include "net/connection.h"
#include "serve/account_sessions.h"
#include "serve/listener_tls.h"
#include "serve/login_gate.h"
#include "serve/send_rate.h"
#include "serve/submission_settings.h"
#include "smtp/session.h"
#include "wire/header.h"

namespace pier::serve {

// What all sessions share; outlives them.
struct SubmissionService {
    auth::Authenticator& authenticator;
    const auth::Directory& directory;
    auth::Guard& guard;
    AccountSessions& sessions;
    SendRate& rate;
    SubmissionSettings settings;
    Clock clock = system_now;
    auth::Tokens* tokens = nullptr;        // null: no tokens are taken
    wire::SaslTokenSource token_source{};  // what their owners are told

    std::atomic<std::uint64_t> logins = 0, failed_logins = 0;
};

// Checks one message's header as it goes by. Pure but for the directory, which never waits.
class SubmittedHeader {
  public:
    // All of them outlive it.
    SubmittedHeader(const SubmissionService& service, const auth::Account& account,
                    const smtp::Envelope& envelope);

    // Why the message is refused; absent: so far it is not.
    std::optional<smtp::Reply> take(std::string_view octets);
    std::optional<smtp::Reply> finish();
    // The fields that it lacks: Sender, Date, Message-ID. After finish().
    std::string missing(std::string_view hostname) const;

  private:
    std::optional<smtp::Reply> check();
    std::optional<smtp::Reply> check_addresses(std::string_view field);

    const SubmissionService& service_;
    const auth::Account& account_;
    const smtp::Address sender_;
    const bool utf8_;
    wire::HeaderReader reader_;
    bool checked_ = false;
    bool from_is_own_ = false;  // or granted: it needs no Sender
};

class Submission {
  public:
    // All of them outlive it.
    Submission(net::Connection& connection, SubmissionService& service, std::string_view listener);

    wire::SaslOffer offer() const;
    const auth::Account* account() const { return account_.get(); }  // null: nobody has logged in

    // Does an action that belongs to a login and reports on it; false: it is another one.
    net::Task<bool> perform(smtp::Session& session, smtp::Action& action);

    std::optional<smtp::Reply> sender_refusal(const smtp::Address& sender) const;
    // Why the account may not send to one more recipient, or not begin the message, which is counted by that.
    std::optional<smtp::Reply> recipient_refusal(std::uint64_t recipients) const;
    std::optional<smtp::Reply> begin(const smtp::Envelope& envelope);
    SubmittedHeader& header() { return *header_; }  // of the message begun

    // What the guard should know of a connection that ends so without a login.
    void end(std::string_view how, std::uint64_t bad_commands);

  private:
    net::Task<void> log_in(smtp::Session& session, smtp::Action& action);
    std::optional<smtp::LoginRefused> enter(auth::Verdict verdict);

    net::Connection& connection_;
    SubmissionService& service_;
    const std::string_view listener_;
    LoginGate gate_;
    auth::AccountPtr account_;
    std::unique_ptr<AccountSessions::Seat> seat_;
    std::unique_ptr<SubmittedHeader> header_;
    bool tried_login_ = false;
};

}  // namespace pier::serve
