// A POP3 server session (RFC 1939, with RFC 2449, 2595, 3206, 5034, 8314): pure. It is fed octets and yields
// actions; the driver (serve/pop3_driver) does each action and reports back. No socket, clock, disk or
// thread; one thread at a time.
//
//   act = session.next(); do it; then call the on_…() named beside it.
//
// Replies gather inside and come out as one Write when the session must wait for input, or when they pass
// Limits::output_octets_max: so pipelining costs nothing and a long listing comes in pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "wire/command_observer.h"
#include "wire/sasl.h"

namespace pier::pop3 {

// The maildrop as it was at login; the driver makes it from a store snapshot. Numbers here count from 0.
class Maildrop {
  public:
    virtual ~Maildrop() = default;
    virtual std::size_t messages() const = 0;
    virtual std::uint64_t octets() const = 0;
    virtual std::uint64_t octets(std::size_t index) const = 0;
    virtual void append_uidl(std::size_t index, std::string& out) const = 0;
};

struct Limits {
    std::size_t line_octets_max = 512;  // a command line with its CRLF (RFC 2449 §4 says 255)
    // A SASL line: RFC 5034 §4 wants at least 12288 octets; this is as much as a token may have
    // (wire/sasl_limits.h).
    std::size_t auth_line_octets_max = 22016;
    std::size_t output_octets_max = 16384;  // replies gathered before they are written
    std::size_t bad_commands_max = 10;      // in a row; then the connection is closed
    std::size_t failed_logins_max = 3;      // then the connection is closed
};

// What the listener and the configuration say about this connection.
struct Facts {
    bool tls_active = false;           // implicit TLS, or after STLS
    wire::SaslOffer sasl{};            // what the driver can tell of the channel, tokens and the certificate
    bool tls_available = false;        // STLS may be offered
    bool clear_login_allowed = false;  // passwords without TLS
    bool scram = true;                 // SCRAM is among the mechanisms
    std::uint32_t login_delay_s = 0;   // RFC 2449 §6.6: CAPA's LOGIN-DELAY; 0: not told
    std::uint32_t expire_days = 0;     // RFC 2449 §6.7: CAPA's EXPIRE; 0: NEVER
    bool xclient = false;              // the peer is a proxy that is believed: XCLIENT is taken
    std::string greeting = "Pier POP3 server ready";  // behind "+OK "
    std::string implementation = "Pier";              // CAPA IMPLEMENTATION; empty hides it
};

// ---- actions ----
struct NeedInput {};  // on_bytes, on_eof or on_shutdown
struct Write {
    std::string text;
};                   // nothing to report
struct StartTls {};  // on_tls (the driver closes if the handshake fails)
struct Introduce {   // on_introduced
    std::string address;
    std::uint16_t port = 0;
    bool tls = false;  // between the client and the proxy
};
using NeedKeys = wire::SaslNeedKeys;  // on_keys, or on_keys_refused
struct WrongProof {
    std::string user;
};  // nothing to report: SCRAM has failed
struct Login {
    std::string authzid, user;
    std::optional<std::string> password;
};                                                    // on_login; no password: SCRAM has proven it
using TokenLogin = wire::SaslCheckToken;              // on_login
using CertificateLogin = wire::SaslCheckCertificate;  // on_login
struct SendMail {                                     // on_mail_sent
    std::size_t index = 0;
    std::optional<std::uint64_t> body_lines;  // TOP: the header, the empty line, that many lines of the body
    std::string
        reply;  // the driver writes this line (it has its CRLF) first, then the stuffed message and ".\r\n"
};
struct Remove {
    std::vector<std::size_t> indexes;
};                // after QUIT: on_removed
struct Close {};  // the session is over
using Action = std::variant<NeedInput, Write, StartTls, Introduce, NeedKeys, WrongProof, Login, TokenLogin,
                            CertificateLogin, SendMail, Remove, Close>;

// ---- reports ----
struct LoginRefused {
    enum class Why {
        credentials,
        temporary,
        permanent,
        in_use,
        login_delay
    } why{};           // the response code (RFC 3206, RFC 2449 §8)
    std::string text;  // for the client, without a response code; in English (language.h has the others)
    std::vector<std::string> values = {};  // at most two, that stand for each {} in `text`
};
using LoginReport = std::variant<std::shared_ptr<const Maildrop>, LoginRefused>;

struct Introduced {
    enum class How { welcome, no_address, not_welcome } how{};
    bool tls_active = false, clear_login_allowed = false;  // as in Facts, for that client
};

struct MailRefused {  // nothing of the message has been written
    bool temporary = false;
    std::string text;
};
struct MailSent {};
struct MailBroken {};  // part of it went out and the rest cannot: the connection must end
using MailReport = std::variant<MailSent, MailRefused, MailBroken>;

// The verbs in upper case, and "other" as the last: what a CommandObserver's numbers mean.
std::vector<std::string_view> command_names();

class Session {
  public:
    Session(const Limits& limits, Facts facts);  // `limits` outlives the session
    ~Session();
    Session(Session&&) noexcept;

    void set_observer(wire::CommandObserver* observer);  // outlives the session; null: none

    Action next();

    void on_bytes(std::string_view octets);  // copied as far as needed
    void on_eof();       // the peer closed, timed out or a write failed; at any time: nothing is removed
    void on_shutdown();  // the server stops: says so, nothing is removed
    void on_tls(const wire::SaslOffer& sasl);
    void on_introduced(const Introduced& report);
    void on_keys(const wire::ScramKeys& keys, std::string_view nonce, std::string_view channel_binding);
    void on_keys_refused(const LoginRefused& refused);  // AUTH ends
    void on_login(LoginReport report);
    void on_mail_sent(MailReport report);
    void on_removed(std::size_t not_removed);  // 0: all are gone, durably

    // For the log line at the end and for the driver's time limits.
    enum class State { authorization, transaction, update };
    State state() const;
    // Empty before login. After one by token or certificate: as whom the client asked, which may be empty.
    const std::string& user() const;
    struct Counts {
        std::uint64_t commands = 0, bad_commands = 0, retrieved = 0, retrieved_octets = 0, removed = 0,
                      failed_logins = 0;
    };
    const Counts& counts() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pier::pop3
