#include "auth/token_signer.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "wire/base64.h"

namespace pier::auth {
namespace {

void must(bool good) {
    if (!good) throw std::runtime_error("the test's OpenSSL cannot do that");
}

std::string number(EVP_PKEY* key, const char* name, int octets) {
    BIGNUM* value = nullptr;
    must(EVP_PKEY_get_bn_param(key, name, &value) == 1);
    std::string out(static_cast<std::size_t>(octets == 0 ? BN_num_bytes(value) : octets), '\0');
    BN_bn2binpad(value, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size()));
    BN_free(value);
    return base64url(out);
}

// R and S side by side.
std::string raw(const std::string& der, int half) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
    std::string out(static_cast<std::size_t>(2 * half), '\0');
    auto* octets = reinterpret_cast<unsigned char*>(out.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(signature), octets, half);
    BN_bn2binpad(ECDSA_SIG_get0_s(signature), octets + half, half);
    ECDSA_SIG_free(signature);
    return out;
}

}  // namespace

TokenSigner::TokenSigner(std::string algorithm, std::string id)
    : algorithm_(std::move(algorithm)), id_(std::move(id)) {
    if (algorithm_ == "RS256" || algorithm_ == "PS256") key_ = EVP_RSA_gen(2048u);
    if (algorithm_ == "ES256") key_ = EVP_EC_gen("P-256");
    if (algorithm_ == "ES384") key_ = EVP_EC_gen("P-384");
    if (algorithm_ == "EdDSA") key_ = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    must(key_ != nullptr);
}

TokenSigner::~TokenSigner() {
    EVP_PKEY_free(key_);
}

std::string TokenSigner::jwk(const std::string& more) const {
    const std::string begin = "{" + more + (id_.empty() ? "" : "\"kid\":\"" + id_ + "\",");
    if (algorithm_[0] == 'R' || algorithm_[0] == 'P')
        return begin + R"("kty":"RSA","n":")" + number(key_, OSSL_PKEY_PARAM_RSA_N, 0) + R"(","e":")" +
               number(key_, OSSL_PKEY_PARAM_RSA_E, 0) + "\"}";
    if (algorithm_ == "EdDSA") {
        std::string x(32, '\0');
        std::size_t size = x.size();
        must(EVP_PKEY_get_raw_public_key(key_, reinterpret_cast<unsigned char*>(x.data()), &size) == 1);
        return begin + R"("kty":"OKP","crv":"Ed25519","x":")" + base64url(x) + "\"}";
    }
    const int octets = algorithm_ == "ES256" ? 32 : 48;
    return begin + R"("kty":"EC","crv":")" + (octets == 32 ? "P-256" : "P-384") + R"(","x":")" +
           number(key_, OSSL_PKEY_PARAM_EC_PUB_X, octets) + R"(","y":")" +
           number(key_, OSSL_PKEY_PARAM_EC_PUB_Y, octets) + "\"}";
}

std::string TokenSigner::sign(const std::string& header, const std::string& payload) const {
    const std::string text = base64url(header) + "." + base64url(payload);
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* options = nullptr;
    const char* digest = algorithm_ == "EdDSA" ? nullptr : algorithm_ == "ES384" ? "SHA384" : "SHA256";
    must(EVP_DigestSignInit_ex(context, &options, digest, nullptr, nullptr, key_, nullptr) == 1);
    if (algorithm_ == "PS256") {
        EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
    }
    std::string signature(1024, '\0');
    std::size_t size = signature.size();
    must(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                        reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1);
    EVP_MD_CTX_free(context);
    signature.resize(size);
    if (algorithm_ == "ES256") signature = raw(signature, 32);
    if (algorithm_ == "ES384") signature = raw(signature, 48);
    return text + "." + base64url(signature);
}

std::string TokenSigner::sign(const std::string& payload) const {
    return sign(R"({"alg":")" + algorithm_ + "\"" + (id_.empty() ? "" : R"(,"kid":")" + id_ + "\"") + "}",
                payload);
}

std::string base64url(std::string_view octets) {
    std::string text = wire::base64_encode(octets);
    text.erase(text.find_last_not_of('=') + 1);
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
    return text;
}

std::string key_set(const std::string& jwks) {
    return "{\"keys\":[" + jwks + "]}";
}

}  // namespace pier::auth
