// The server's side of a SASL exchange (RFC 4422): PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login),
// SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, RFC 7677), each also bound to its TLS channel (-PLUS). Pure: no
// socket, no clock, no randomness, no password store. Texts are raw octets; the protocols put base64 around
// them. One object per exchange, one thread.
//
//   auto exchange = SaslExchange::begin("SCRAM-SHA-256", SaslChannel::unbound);
//   step = exchange->start(initial_response);      then, by what step holds:
//     Challenge      send it, then on_response(what comes back)
//     CheckPassword  the exchange is over; the caller checks the password
//     NeedKeys       on_keys(that user's keys, or made-up ones for an unknown user, and a fresh nonce)
//     Proven         the exchange is over; the client has shown that it knows the password
//     Failed         the exchange is over
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace pier::wire {

enum class ScramHash { sha1, sha256 };

// Whether the caller can tell what identifies the TLS channel (RFC 5056), so that whoever sits in the middle
// of two channels is found out. Then the mechanisms that end in -PLUS are offered too.
enum class SaslChannel { unbound, bindable };

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
using SaslStep = std::variant<SaslChallenge, SaslCheckPassword, SaslNeedKeys, SaslProven, SaslFailed>;

class SaslExchange {
  public:
    virtual ~SaslExchange() = default;

    // The mechanism's exchange, by its name in any case; null if there is none of that name on that channel.
    static std::unique_ptr<SaslExchange> begin(std::string_view mechanism, SaslChannel channel);

    // `initial`: the initial response, absent if the client sent none (empty is not absent).
    virtual SaslStep start(std::optional<std::string_view> initial) = 0;
    virtual SaslStep on_response(std::string_view response) = 0;
    // Only after SaslNeedKeys. `channel_binding`: the octets of what it asked for; empty if this channel has
    // none.
    virtual SaslStep on_keys(const ScramKeys& keys, std::string_view nonce, std::string_view channel_binding);
};

// All names on that channel, strongest first, as CAPA and EHLO list them.
std::span<const std::string_view> sasl_mechanisms(SaslChannel channel);
// True for those that show the password itself to whoever reads the connection (PLAIN, LOGIN).
bool sasl_sends_password(std::string_view mechanism);

}  // namespace pier::wire
