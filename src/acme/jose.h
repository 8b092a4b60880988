// What an ACME client says is signed: JSON Web Signatures (RFC 7515) with the account's key, ES256 (RFC 7518
// §3.4), in the form that ACME wants (RFC 8555 §6.2). Pure; any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <openssl/evp.h>

#include "base/result.h"

namespace pier::acme {

// RFC 7515 §2: base64url without padding.
std::string base64url(std::string_view octets);
// Absent if it is anything else, or would have more than `octets_max`. Padding is taken: authorities give
// keys with it.
std::optional<std::string> base64url_decode(std::string_view text, std::size_t octets_max);

std::string sha256(std::string_view octets);
std::string hmac_sha256(std::string_view key, std::string_view octets);

// {"crv":"P-256","kty":"EC","x":"…","y":"…"}: the members in RFC 7638's order; x and y are 32 octets each.
std::string ec_jwk(std::string_view x, std::string_view y);
// RFC 7638 §3, of a JWK in that form.
std::string thumbprint(std::string_view jwk);

// A P-256 key, for an account or a certificate.
class Key {
  public:
    static Result<Key> make();
    static Result<Key> from_pem(std::string_view pem);

    std::string pem() const;                          // with the private key: to be wiped by who has it
    std::string jwk() const;                          // the public key alone
    std::string sign(std::string_view octets) const;  // ES256: R and S, 64 octets
    EVP_PKEY* get() const { return key_.get(); }

  private:
    struct Free {
        void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    };
    explicit Key(EVP_PKEY* key) : key_(key) {}
    std::unique_ptr<EVP_PKEY, Free> key_;
};

struct JwsHead {
    std::string url, nonce;
    std::string kid;  // the account's URL; empty: the key itself is named (jwk)
};

// The flattened JSON (RFC 7515 §7.2.2). An empty payload is a POST-as-GET (RFC 8555 §6.3).
std::string make_jws(const Key& key, const JwsHead& head, std::string_view payload);

// RFC 8555 §7.3.4: that the account belongs to one the authority knows otherwise, by HS256 with `mac_key`.
std::string make_external_binding(const Key& key, std::string_view kid, std::string_view mac_key,
                                  std::string_view new_account_url);

}  // namespace pier::acme
