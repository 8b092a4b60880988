// The server's side of a SASL exchange (RFC 4422): PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login),
// SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, RFC 7677), each also bound to its TLS channel (-PLUS), OAUTHBEARER
// (RFC 7628), XOAUTH2 (Google's, from before it), EXTERNAL (RFC 4422 appendix A). Pure: no socket, no clock,
// no randomness, no password store. Texts are raw octets; the protocols put base64 around them. One object
// per exchange, one thread.
//
//   auto exchange = SaslExchange::begin("SCRAM-SHA-256", SaslChannel::unbound);
//   step = exchange->start(initial_response);      then, by what step holds:
//     Challenge         send it, then on_response(what comes back)
//     CheckPassword     the exchange is over; the caller checks the password
//     CheckToken        the caller finds out whose token it is. If it is good the exchange is over; if not,
//                       on_token_refused(), so that the client is told in its mechanism's words
//     CheckCertificate  the exchange is over; the caller looks whose certificate the client has shown
//     NeedKeys          on_keys(that user's keys, or made-up ones for an unknown user, and a fresh nonce)
//     Proven            the exchange is over; the client has shown that it knows the password
//     Failed            the exchange is over
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pier::wire {

enum class ScramHash { sha1, sha256 };

// Whether the caller can tell what identifies the TLS channel (RFC 5056), so that whoever sits in the middle
// of two channels is found out. Then the mechanisms that end in -PLUS are offered too.
enum class SaslChannel { unbound, bindable };

// Where tokens come from, as a client is told whose token is refused (RFC 7628 §3.2.2). Both may be empty.
struct SaslTokenSource {
    std::string scope;                 // that a token must have
    std::string openid_configuration;  // the URL of the issuer's metadata
};

// Which mechanisms there are on a connection.
struct SaslOffer {
    SaslChannel channel = SaslChannel::unbound;
    const SaslTokenSource* tokens = nullptr;  // outlives the exchange; null: tokens are not taken
    bool certificate = false;                 // the client has shown one, and it was verified: EXTERNAL

    SaslOffer() = default;
    SaslOffer(SaslChannel of_channel) : channel(of_channel) {}
};

// What the server keeps of a password for SCRAM (RFC 5802 §3). Raw octets.
struct ScramKeys {
    std::string salt;
    std::uint32_t iterations = 0;
    std::string stored_key, server_key;
    bool operator==(const ScramKeys&) const = default;
};

// From a password (its UTF-8, as SASLprep leaves it; the caller prepares it).
ScramKeys derive_scram_keys(ScramHash hash, std::string_view password, std::string_view salt,
                            std::uint32_t iterations);

struct SaslChallenge {
    std::string text;
};
struct SaslCheckPassword {
    std::string authzid, user, password;
};  // authzid empty: the user itself
// `authzid`: as whom the client wants to log in; empty: as whoever the token or the certificate is for.
struct SaslCheckToken {
    std::string authzid, token;
};
struct SaslCheckCertificate {
    std::string authzid;
};
struct SaslNeedKeys {
    ScramHash hash{};
    std::string user;
    // "tls-exporter" (RFC 9266) or "tls-server-end-point" (RFC 5929 §4): on_keys() is to be told its octets.
    // Empty: none.
    std::string channel_binding = {};
};
struct SaslProven {
    std::string authzid, user;
};
struct SaslFailed {
    std::string text;
};  // malformed, or a wrong proof; safe to show to the client
using SaslStep = std::variant<SaslChallenge, SaslCheckPassword, SaslCheckToken, SaslCheckCertificate,
                              SaslNeedKeys, SaslProven, SaslFailed>;

class SaslExchange {
  public:
    virtual ~SaslExchange() = default;

    // The mechanism's exchange, by its name in any case; null if none of that name is offered.
    static std::unique_ptr<SaslExchange> begin(std::string_view mechanism, const SaslOffer& offer);

    // `initial`: the initial response, absent if the client sent none (empty is not absent).
    virtual SaslStep start(std::optional<std::string_view> initial) = 0;
    virtual SaslStep on_response(std::string_view response) = 0;
    // Only after SaslNeedKeys. `channel_binding`: the octets of what it asked for; empty if this channel has
    // none.
    virtual SaslStep on_keys(const ScramKeys& keys, std::string_view nonce, std::string_view channel_binding);
    // Only after SaslCheckToken, when the token is not good.
    virtual SaslStep on_token_refused();
};

// The names of what is offered, strongest first, as CAPA and EHLO list them.
std::vector<std::string_view> sasl_mechanisms(const SaslOffer& offer);
// True for those that show the password itself to whoever reads the connection (PLAIN, LOGIN).
bool sasl_sends_password(std::string_view mechanism);

}  // namespace pier::wire
