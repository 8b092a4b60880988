// A message's envelope as it travels from server to server: who sends it, who is to get it, and what the
// sender has asked for by extensions. What a session has parsed, what the queue keeps, what a client session
// says again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pier::smtp {

struct Address {               // RFC 5321 §4.1.2; both empty: the null reverse-path <>
    std::string local;         // unquoted
    std::string domain;        // lower case; empty for a bare local part (LMTP, postmaster)
    std::string text() const;  // as it is written in a path, quoted where needed
    bool empty() const { return local.empty() && domain.empty(); }
    bool operator==(const Address&) const = default;
};

// NOTIFY (RFC 3461 §4.1): a set of bits. 0: the sender has said nothing, which means failure and, here,
// delay.
namespace notify {
inline constexpr std::uint8_t never = 1, success = 2, failure = 4, delay = 8;
}

// RET (RFC 3461 §4.3): how much of the message a bounce brings back.
enum class Return : std::uint8_t { unsaid, full, headers };

struct Envelope {
    struct Recipient {
        Address address;
        std::uint8_t notify = 0;
        std::string original;  // ORCPT (RFC 3461 §4.2) as it was given, still in xtext:
                               // "rfc822;ada@example.org"; empty: none
        bool operator==(const Recipient&) const = default;
    };

    Address sender;
    std::vector<Recipient> recipients;
    bool body_8bit = false;    // BODY=8BITMIME (RFC 6152)
    bool utf8 = false;         // SMTPUTF8 (RFC 6531)
    bool require_tls = false;  // REQUIRETLS (RFC 8689)
    Return ret = Return::unsaid;
    std::string id;  // ENVID (RFC 3461 §4.4), still in xtext; empty: none
};

}  // namespace pier::smtp
