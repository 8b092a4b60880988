#include "auth/jwk.h"

#include <cstring>
#include <optional>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "wire/base64.h"

namespace pier::auth {
namespace {

namespace json = boost::json;
using Key = std::shared_ptr<EVP_PKEY>;

constexpr std::size_t rsa_bits_min = 2048, rsa_bits_max = 8192;
constexpr std::size_t member_octets_max = rsa_bits_max / 8;

std::string_view text_of(const json::object& jwk, std::string_view name) {
    const json::value* value = jwk.if_contains(name);
    return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                  : std::string_view();
}

// Empty if there is none, or it is no base64url.
std::string octets_of(const json::object& jwk, std::string_view name) {
    return wire::base64url_decode(text_of(jwk, name), member_octets_max).value_or("");
}

const unsigned char* bytes(const std::string& octets) {
    return reinterpret_cast<const unsigned char*>(octets.data());
}

template <auto free>
struct Freer {
    template <class T>
    void operator()(T* object) const {
        free(object);
    }
};
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Freer<OSSL_PARAM_BLD_free>>;
using Number = std::unique_ptr<BIGNUM, Freer<BN_free>>;

// The key that `type` makes of the parameters; null if they are none.
Key make_key(const char* type, OSSL_PARAM_BLD* builder) {
    const std::unique_ptr<OSSL_PARAM, Freer<OSSL_PARAM_free>> params(OSSL_PARAM_BLD_to_param(builder));
    const std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>> context(
        EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
    EVP_PKEY* key = nullptr;
    if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1)
        return nullptr;
    return {key, EVP_PKEY_free};
}

// RFC 7518 §6.3.1
Key rsa_key(const json::object& jwk) {
    const std::string modulus = octets_of(jwk, "n"), exponent = octets_of(jwk, "e");
    // Attack: a huge exponent makes each check of a signature cost a second.
    if (modulus.empty() || exponent.empty() || exponent.size() > 4) return nullptr;
    const Number n(BN_bin2bn(bytes(modulus), static_cast<int>(modulus.size()), nullptr));
    const Number e(BN_bin2bn(bytes(exponent), static_cast<int>(exponent.size()), nullptr));
    const Builder builder(OSSL_PARAM_BLD_new());
    if (!n || !e || !builder || !BN_is_odd(n.get()) || !BN_is_odd(e.get()) || BN_is_one(e.get()) ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
        return nullptr;
    const auto bits = static_cast<std::size_t>(BN_num_bits(n.get()));
    if (bits < rsa_bits_min || bits > rsa_bits_max) return nullptr;
    return make_key("RSA", builder.get());
}

// RFC 7518 §6.2.1; the point is checked to be on the curve.
Key ec_key(const json::object& jwk, const char* group, std::size_t octets) {
    const std::string x = octets_of(jwk, "x"), y = octets_of(jwk, "y");
    if (x.size() != octets || y.size() != octets) return nullptr;
    const std::string point = "\4" + x + y;  // uncompressed
    const Builder builder(OSSL_PARAM_BLD_new());
    if (!builder ||
        OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group,
                                        std::strlen(group)) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                         point.size()) != 1)
        return nullptr;
    return make_key("EC", builder.get());
}

// RFC 8037 §2
Key ed25519_key(const json::object& jwk) {
    const std::string x = octets_of(jwk, "x");
    if (x.size() != 32) return nullptr;
    return {EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes(x), x.size()), EVP_PKEY_free};
}

std::optional<Jwk> parse_jwk(const json::object& jwk) {
    const std::string_view use = text_of(jwk, "use");
    if (!use.empty() && use != "sig") return std::nullopt;
    Jwk out;
    out.id = text_of(jwk, "kid");
    out.algorithm = text_of(jwk, "alg");
    const std::string_view type = text_of(jwk, "kty"), curve = text_of(jwk, "crv");
    if (type == "RSA") {
        out.type = Jwk::Type::rsa;
        out.key = rsa_key(jwk);
    } else if (type == "EC" && curve == "P-256") {
        out.type = Jwk::Type::p256;
        out.key = ec_key(jwk, "P-256", 32);
    } else if (type == "EC" && curve == "P-384") {
        out.type = Jwk::Type::p384;
        out.key = ec_key(jwk, "P-384", 48);
    } else if (type == "OKP" && curve == "Ed25519") {
        out.type = Jwk::Type::ed25519;
        out.key = ed25519_key(jwk);
    }
    if (!out.key) return std::nullopt;
    return out;
}

}  // namespace

Result<std::vector<Jwk>> parse_jwks(std::string_view text) {
    if (text.size() > jwks_octets_max) return Error{ErrorKind::invalid, "the key set is too large"};
    boost::system::error_code malformed;
    const json::value set = json::parse(text, malformed);
    const json::value* keys = !malformed && set.is_object() ? set.get_object().if_contains("keys") : nullptr;
    if (keys == nullptr || !keys->is_array())
        return Error{ErrorKind::invalid, "this is no JSON Web Key Set: it has no list of keys"};
    if (keys->get_array().size() > jwks_keys_max)
        return Error{ErrorKind::invalid, "the key set has too many keys"};
    std::vector<Jwk> out;
    for (const json::value& each : keys->get_array())
        if (each.is_object())
            if (auto jwk = parse_jwk(each.get_object())) out.push_back(std::move(*jwk));
    ERR_clear_error();
    return out;
}

}  // namespace pier::auth
