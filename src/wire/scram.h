// SCRAM's own texts and sums (RFC 5802, RFC 7677), for wire/sasl.cc and its tests. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/sasl.h"

namespace pier::wire {

// The decoded saslname (RFC 5802 §7), as GS2 headers have it too (RFC 5801 §4): "=2C" is a comma, "=3D" an
// equals sign, and no other "=" may stand there.
std::optional<std::string> decode_saslname(std::string_view text);

// What a client says first: "n,a=bob,n=alice,r=…".
struct ScramClientFirst {
    // Of channel binding (RFC 5802 §6): the client cannot; it can, and believes that we cannot; it does.
    enum class Binding { no, not_offered, yes } binding{};
    std::string binding_type;  // "tls-exporter"
    std::string gs2_header;    // up to and with the second comma; comes back in base64 in the last message
    std::string authzid;       // decoded; empty if absent
    std::string bare;          // all behind the header
    std::string user;          // decoded
    std::string nonce;
};

// What it says last: "c=…,r=…,p=…".
struct ScramClientFinal {
    std::string without_proof;
    std::string channel_binding;  // decoded
    std::string nonce;
    std::string proof;  // decoded
};

// Fail with `invalid` and a text that may be shown to the client.
Result<ScramClientFirst> parse_scram_client_first(std::string_view message);
Result<ScramClientFinal> parse_scram_client_final(std::string_view message);

// True if the proof shows knowledge of the password behind `keys` (RFC 5802 §3). Takes the same time wherever
// it differs.
bool scram_proof_holds(ScramHash hash, const ScramKeys& keys, std::string_view auth_message,
                       std::string_view proof);

// "v=…": shows the client that the server knows the keys too.
std::string scram_server_final(ScramHash hash, const ScramKeys& keys, std::string_view auth_message);

// The sums, of which account keys and made-up keys are built. Raw octets.
std::string hmac(ScramHash hash, std::string_view key, std::string_view text);
std::size_t hash_octets(ScramHash hash);

}  // namespace pier::wire
