#include "auth/jwt.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "wire/ascii.h"
#include "wire/base64.h"

namespace pier::auth {
namespace {

namespace json = boost::json;

struct Algorithm {
    std::string_view name;
    Jwk::Type type;
    const char* digest;            // null: the algorithm has its own
    bool pss;                      // RSASSA-PSS
    std::size_t signature_octets;  // 0: as many as the key has
};
constexpr Algorithm algorithms[] = {{"RS256", Jwk::Type::rsa, "SHA256", false, 0},
                                    {"PS256", Jwk::Type::rsa, "SHA256", true, 0},
                                    {"ES256", Jwk::Type::p256, "SHA256", false, 64},
                                    {"ES384", Jwk::Type::p384, "SHA384", false, 96},
                                    {"EdDSA", Jwk::Type::ed25519, nullptr, false, 64}};

// RFC 7515 §7.1
struct Parts {
    std::string_view header, payload, signature;
    std::string_view signed_text;  // the first two with their dot
};

std::optional<Parts> split(std::string_view token) {
    const std::size_t first = token.find('.');
    if (first == std::string_view::npos) return std::nullopt;
    const std::size_t second = token.find('.', first + 1);
    if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos)
        return std::nullopt;
    return Parts{token.substr(0, first), token.substr(first + 1, second - first - 1),
                 token.substr(second + 1), token.substr(0, second)};
}

std::optional<json::object> object_of(std::string_view text) {
    boost::system::error_code malformed;
    json::value value = json::parse(text, malformed);
    if (malformed || !value.is_object()) return std::nullopt;
    return std::move(value.get_object());
}

std::string_view text_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                  : std::string_view();
}

// RFC 8725 §3.11: a token that was made to be something else (a logout, a proof of possession) is none here.
bool is_access_token(std::string_view type) {
    if (wire::ascii_starts_with(type, "application/"))
        type.remove_prefix(std::string_view("application/").size());
    return type.empty() || wire::ascii_equal(type, "JWT") || wire::ascii_equal(type, "at+jwt");
}

const unsigned char* bytes(std::string_view octets) {
    return reinterpret_cast<const unsigned char*>(octets.data());
}

// RFC 7518 §3.4 has R and S side by side, OpenSSL wants DER. Empty if there is no memory.
std::string ecdsa_der(std::string_view octets) {
    const std::size_t half = octets.size() / 2;
    const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> signature(ECDSA_SIG_new(), ECDSA_SIG_free);
    if (!signature) return {};
    BIGNUM* r = BN_bin2bn(bytes(octets), static_cast<int>(half), nullptr);
    BIGNUM* s = BN_bin2bn(bytes(octets.substr(half)), static_cast<int>(half), nullptr);
    if (r == nullptr || s == nullptr || ECDSA_SIG_set0(signature.get(), r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return {};
    }
    std::string der(static_cast<std::size_t>(std::max(0, i2d_ECDSA_SIG(signature.get(), nullptr))), '\0');
    auto* out = reinterpret_cast<unsigned char*>(der.data());
    i2d_ECDSA_SIG(signature.get(), &out);
    return der;
}

bool holds(const Algorithm& algorithm, EVP_PKEY* key, std::string_view text, std::string_view signature) {
    std::string der;
    if (algorithm.signature_octets != 0 && signature.size() != algorithm.signature_octets) return false;
    if (algorithm.type == Jwk::Type::p256 || algorithm.type == Jwk::Type::p384) {
        der = ecdsa_der(signature);
        signature = der;
    }
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    EVP_PKEY_CTX* options = nullptr;
    bool good = context && EVP_DigestVerifyInit_ex(context.get(), &options, algorithm.digest, nullptr,
                                                   nullptr, key, nullptr) == 1;
    // RFC 7518 §3.5: the salt is as long as the hash.
    if (good && algorithm.pss)
        good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
    good = good &&
           EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(text), text.size()) == 1;
    ERR_clear_error();
    return good;
}

}  // namespace

std::variant<std::string, TokenWrong, UnknownKey> verify_jws(std::string_view token,
                                                             std::span<const Jwk> keys) {
    if (token.size() > token_octets_max) return TokenWrong{"the token is too long"};
    const auto parts = split(token);
    if (!parts) return TokenWrong{"the token is no JSON Web Token"};
    const auto header_text = wire::base64url_decode(parts->header, token_octets_max);
    auto payload = wire::base64url_decode(parts->payload, token_octets_max);
    const auto signature = wire::base64url_decode(parts->signature, token_octets_max);
    const auto header = header_text ? object_of(*header_text) : std::nullopt;
    if (!header || !payload || !signature) return TokenWrong{"the token is no JSON Web Token"};
    // RFC 7515 §4.1.11: whoever does not know what is critical must not take it.
    if (header->contains("crit")) return TokenWrong{"the token has critical extensions"};
    if (!is_access_token(text_of(*header, "typ"))) return TokenWrong{"the token is of another type"};
    const std::string_view name = text_of(*header, "alg"), id = text_of(*header, "kid");
    const auto* algorithm = std::find_if(std::begin(algorithms), std::end(algorithms),
                                         [&](const Algorithm& each) { return each.name == name; });
    if (algorithm == std::end(algorithms)) return TokenWrong{"the token's algorithm is not taken"};
    bool tried = false;
    for (const Jwk& jwk : keys) {
        if (!id.empty() && jwk.id != id) continue;
        if (jwk.type != algorithm->type || (!jwk.algorithm.empty() && jwk.algorithm != name)) continue;
        tried = true;
        if (holds(*algorithm, jwk.key.get(), parts->signed_text, *signature)) return std::move(*payload);
    }
    if (!tried) return UnknownKey{};
    return TokenWrong{"the token's signature is wrong"};
}

JwtVerdict check_jwt(std::string_view token, std::span<const Jwk> keys, const TokenRules& rules, Time now) {
    const auto verified = verify_jws(token, keys);
    if (const auto* wrong = std::get_if<TokenWrong>(&verified)) return *wrong;
    if (std::holds_alternative<UnknownKey>(verified)) return UnknownKey{};
    const auto claims = object_of(std::get<std::string>(verified));
    if (!claims) return TokenWrong{"the token's claims are no JSON object"};
    auto verdict = check_claims(*claims, rules, ClaimsNeeded::all, now);
    if (auto* identity = std::get_if<TokenIdentity>(&verdict)) return std::move(*identity);
    return std::get<TokenWrong>(verdict);
}

}  // namespace pier::auth
