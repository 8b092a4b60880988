// An issuer of tokens for tests: a private key, the JSON Web Key that belongs to it, and tokens signed with
// it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <openssl/types.h>

namespace pier::auth {

class TokenSigner {
  public:
    // "RS256", "PS256", "ES256", "ES384" or "EdDSA"; a fresh key.
    explicit TokenSigner(std::string algorithm, std::string id = "");
    ~TokenSigner();

    // The public key as a member of a key set; `more` is put in front: "\"use\":\"enc\",".
    std::string jwk(const std::string& more = "") const;
    // A compact token over that header and payload, or the usual header.
    std::string sign(const std::string& header, const std::string& payload) const;
    std::string sign(const std::string& payload) const;

  private:
    const std::string algorithm_, id_;
    EVP_PKEY* key_ = nullptr;
};

std::string base64url(std::string_view octets);
std::string key_set(const std::string& jwks);

}  // namespace pier::auth
