// The public keys of an issuer of tokens: a JSON Web Key Set (RFC 7517), with keys of RFC 7518 §6 (RSA,
// P-256, P-384) and RFC 8037 (Ed25519). Pure; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/types.h>

#include "base/result.h"

namespace pier::auth {

inline constexpr std::size_t jwks_octets_max = 100 << 10;
inline constexpr std::size_t jwks_keys_max = 100;

struct Jwk {
    enum class Type { rsa, p256, p384, ed25519 } type{};
    std::string id;         // kid; may be empty
    std::string algorithm;  // alg: the only one that it is for; empty: any that its type has
    std::shared_ptr<EVP_PKEY> key;
};

// Those of the set that can check signatures here. What is for another use, of another type, broken, or an
// RSA key of less than 2048 or more than 8192 bits, is passed over (RFC 7517 §5). `invalid`: it is no key
// set, or too large.
Result<std::vector<Jwk>> parse_jwks(std::string_view json);

}  // namespace pier::auth
