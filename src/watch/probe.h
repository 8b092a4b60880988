// What one look at a mail port from outside has shown: plain data, for the command, the schedule and the
// history. Made by prober.h; judged by findings.h; as JSON in probe_json.h. Values; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace pier::watch {

enum class Protocol { pop3, imap, smtp, submission, lmtp };
enum class TlsMode { none, starttls, implicit };

std::string_view to_string(Protocol protocol);  // "pop3"
std::string_view to_string(TlsMode mode);       // "starttls"
std::optional<Protocol> protocol_of(std::string_view word);
std::optional<TlsMode> tls_mode_of(std::string_view word);

// What a port speaks by its number: 24, 25, 110, 143, 465, 587, 993, 995. Absent: another number.
struct PortUse {
    std::uint16_t port = 0;
    Protocol protocol{};
    TlsMode tls{};
};
std::optional<PortUse> usual_use(std::uint16_t port);

struct Target {
    std::string host;  // a name or an IP address: where to connect to
    std::uint16_t port = 0;
    Protocol protocol = Protocol::pop3;
    TlsMode tls = TlsMode::starttls;
    std::string name;  // that the certificate must be for; empty: `host`

    const std::string& expected_name() const { return name.empty() ? host : name; }
    std::string text() const;  // "mail.example.org:995", "[::1]:110"
};

// A part of the probe that is timed by itself.
struct Phase {
    std::string name;  // "connect", "greeting", "tls" … : docs/watch.md has them all
    std::chrono::microseconds time{};
};

struct Certificate {
    std::string subject, issuer;     // "CN=mail.example.org"
    std::vector<std::string> names;  // DNS names and IP addresses it is for
    Time not_before{}, not_after{};
    std::string key_type;  // "RSA", "EC", "ED25519"
    int key_bits = 0;
    std::string signature;  // "RSA-SHA256"
    bool self_signed = false;
    std::string issuers_url;  // where its issuer's certificate is to be had (RFC 5280 §4.2.2.1); may be empty
};

// What TLS showed on the connection that was used.
struct TlsFacts {
    std::string version, cipher, alpn;  // "TLSv1.3"; the cipher's OpenSSL name; empty: no protocol was chosen
    std::string group;                  // of the key exchange; may be empty
    std::vector<Certificate> chain;     // as sent, the server's own first
    bool name_matches = false;
    // Each reason not to trust the chain, from the server's certificate on; none: it is trusted.
    struct Distrust {
        enum class Why {
            expired,
            not_yet_valid,
            self_signed,
            authority_unknown,
            chain_incomplete,
            other
        } why{};
        int depth = 0;     // 0: the server's own certificate
        std::string text;  // OpenSSL's words
    };
    std::vector<Distrust> distrust;
    bool trusted() const { return distrust.empty() && name_matches; }
};

// What extra connections found out. Absent: not asked, or it could not be found out.
struct TlsLimits {
    std::optional<bool> takes_tls_1_0, takes_tls_1_1;
    std::optional<std::string> without_encryption, anonymous, broken;  // a cipher that was taken; "": none
    std::optional<std::string> no_forward_secrecy;
    enum class WrongAlpn { ignored, refused, taken };
    std::optional<WrongAlpn> wrong_alpn;
    // A command in the same packet as STLS or STARTTLS was answered inside TLS (RFC 3207 §6).
    std::optional<bool> takes_injected_command;
};

// What the dialogue showed.
struct Seen {
    std::string greeting;                                  // its text
    std::optional<std::vector<std::string>> capabilities;  // before TLS, or of a port that begins with TLS
    std::optional<std::vector<std::string>> capabilities_tls;    // after STLS or STARTTLS
    std::optional<std::vector<std::string>> capabilities_login;  // IMAP, behind the login
    std::optional<bool> starttls_offered;                        // absent: the port begins with TLS
    std::optional<bool> clear_user_taken;                        // POP3: USER was accepted without TLS
    bool logged_in = false;
    std::string login_refusal;    // what the server said; empty: it did not refuse
    std::string login_held_back;  // why the password was not sent; empty: it was, or none was given
    std::optional<std::uint64_t> messages, maildrop_octets;  // STAT; of IMAP only messages
    std::optional<std::uint64_t> retrieved_octets;
    std::optional<std::string> relay_reply;  // to RCPT of a foreign domain, or to MAIL that was refused
    bool relays = false;
    std::optional<bool> verify_tells_names;  // VRFY answers a known name in another way than an unknown one
    bool ended_well = false;                 // QUIT or LOGOUT was answered

    // Of a canary that was sent, and of one that was looked for.
    std::string sent_reply;
    bool sent = false, canary_found = false, canary_deleted = false;
    std::string canary_hash;               // SHA-256 of its body, in hexadecimal
    std::vector<std::string> uidls_known;  // that need not be looked at again
    std::uint64_t old_canaries_deleted = 0;
};

enum class Severity { note, warning, critical };
std::string_view to_string(Severity severity);

struct Finding {
    Severity severity{};
    std::string code;      // for programs: "certificate_expired"; docs/watch.md has them all
    std::string what;      // one sentence
    std::string evidence;  // what was seen; may be empty
    std::string step;      // what to do next
};

struct Failure {
    std::string phase;  // in which it happened
    std::string text;
};

struct Probe {
    Target target;
    Time begun{};
    std::string address;        // that was connected to: "192.0.2.1"; empty: none was
    bool near = false;          // that is this machine or its private network
    std::vector<Phase> phases;  // in order
    std::chrono::microseconds total{};
    Seen seen;
    std::optional<TlsFacts> tls;
    TlsLimits limits;
    std::optional<Failure> failure;  // it did not come to its end
    std::vector<Finding> findings;   // the worst first

    std::optional<Severity> worst() const;
    bool reachable() const { return !address.empty(); }
};

// A mail that was sent, fetched, compared and deleted.
struct Canary {
    std::string from, to;
    std::string sent_by, fetched_by;  // targets
    Time begun{};
    std::vector<Phase> phases;  // "send", "wait", "fetch", "delete"
    bool sent = false, came = false, unchanged = false, deleted = false;
    std::uint64_t old_ones_deleted = 0;
    std::optional<Failure> failure;
    std::vector<Finding> findings;

    std::optional<Severity> worst() const;
};

}  // namespace pier::watch
