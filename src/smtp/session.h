// A server session of the SMTP family: pure. It is fed octets and yields actions; a driver in serve/ does
// each action and reports back. One engine for LMTP (RFC 2033), SMTP (RFC 5321) and submission (RFC 6409),
// told apart by Kind. No socket, clock, disk or thread; one thread at a time.
//
//   act = session.next(); do it; then call the on_…() named beside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "smtp/envelope.h"
#include "wire/command_observer.h"
#include "wire/sasl.h"

namespace pier::smtp {

enum class Kind { lmtp, smtp, submission };

struct Limits {
    std::size_t line_octets_max =
        2048;  // a command line with its CRLF (RFC 5321 §4.5.3.1.4 says 512; parameters add)
    // A line of AUTH, and AUTH itself with an initial response. RFC 4954 §4 wants 12288 octets; this is as
    // much as a token may have (wire/sasl_limits.h).
    std::size_t auth_line_octets_max = 22016;
    std::size_t text_line_octets_max = 1'048'576;  // a line of the message; longer ones are refused (RFC 5321
                                                   // says 1,000; real mail has more)
    std::uint64_t message_octets_max = 64ull << 20;  // SIZE (RFC 1870)
    std::size_t recipients_max = 1000;               // RFC 5321 §4.5.3.1.8 demands at least 100
    std::size_t bad_commands_max = 20;
    std::size_t failed_logins_max = 3;  // then the connection is closed
    std::size_t hops_max =
        100;  // Received fields of a message that SMTP brings (RFC 5321 §6.3: at least 100)
    std::size_t output_octets_max = 16384;
};

struct Facts {
    Kind kind = Kind::lmtp;
    std::string hostname;        // in the greeting and in replies
    bool tls_available = false;  // STARTTLS may be offered (RFC 3207)
    bool tls_active = false;
    // Of submission alone:
    bool clear_login_allowed = false;  // logins without TLS
    bool scram = true;                 // SCRAM is among the mechanisms
    wire::SaslOffer sasl{};            // what the driver can tell of the channel, tokens and the certificate
};

// ---- actions ----
struct NeedInput {};  // on_bytes, on_eof or on_shutdown
struct Write {
    std::string text;
};                                    // nothing to report
struct StartTls {};                   // on_tls (the driver closes if the handshake fails)
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
struct Sender {  // of submission: on_sender: may who has logged in send as that?
    Address address;
};
struct Recipient {  // on_recipient: may it be delivered to?
    Address address;
    std::uint64_t octets = 0;  // of the message, as the client has declared (RFC 1870); 0: it has not
};
struct BeginMessage {  // on_begin: make a place for the octets
    std::string helo;
    bool extended = true;  // it was EHLO, or LHLO
    Envelope envelope;     // its recipients are those accepted
};
struct Chunk {
    std::string octets;
};                         // on_chunk: octets of the message, un-stuffed, CRLF line ends
struct EndMessage {};      // on_end: make it durable for each recipient
struct AbandonMessage {};  // nothing to report: forget what was begun
struct Close {};
using Action =
    std::variant<NeedInput, Write, StartTls, NeedKeys, WrongProof, Login, TokenLogin, CertificateLogin,
                 Sender, Recipient, BeginMessage, Chunk, EndMessage, AbandonMessage, Close>;

// ---- reports ----
struct LoginRefused {
    enum class Why { credentials, temporary, permanent } why{};  // 535 5.7.8, 454 4.7.0, 535 5.7.13
    std::string text;                                            // for the client
};

// A reply of the SMTP family: 250, "2.1.5", "text" (RFC 5321 §4.2, RFC 2034).
struct Reply {
    int code = 0;
    std::string enhanced;
    std::string text;
    bool positive() const { return code >= 200 && code < 300; }
};

// The verbs of all kinds in upper case, and "other" as the last: what a CommandObserver's numbers mean. A
// verb of another kind is told as "other".
std::vector<std::string_view> command_names();

class Session {
  public:
    Session(const Limits& limits, Facts facts);  // `limits` outlives the session
    ~Session();
    Session(Session&&) noexcept;

    void set_observer(wire::CommandObserver* observer);  // outlives the session; null: none

    Action next();

    void on_bytes(std::string_view octets);
    void on_eof();
    void on_shutdown();  // 421 at the next moment that allows it
    void on_tls(const wire::SaslOffer& sasl = {});
    void on_keys(const wire::ScramKeys& keys, std::string_view nonce, std::string_view channel_binding);
    void on_keys_refused(const LoginRefused& refused);   // AUTH ends
    void on_login(std::optional<LoginRefused> refusal);  // absent: logged in
    void on_sender(std::optional<Reply> refusal);        // absent: go on
    void on_recipient(Reply reply);
    void on_begin(std::optional<Reply> refusal);  // absent: go on
    void on_chunk(std::optional<Reply> refusal);  // a refusal (452, 552) is told at the end of the data
    // LMTP: one per accepted recipient, in order (RFC 2033 §4.2); SMTP and submission: one for all of them
    // (RFC 5321 §4.2.5).
    void on_end(std::vector<Reply> replies);

    struct Counts {
        std::uint64_t commands = 0, messages = 0, recipients = 0, octets = 0;
        std::uint64_t bad_commands = 0;  // of them
        std::uint64_t failed_logins = 0;
    };
    const Counts& counts() const;

  private:
    friend std::vector<std::string_view> command_names();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pier::smtp
