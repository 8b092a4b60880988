#include "acme/jose.h"

#include <algorithm>
#include <array>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include "net/tls.h"
#include "wire/base64.h"

namespace pier::acme {
namespace {

namespace json = boost::json;

constexpr int coordinate_octets = 32;

template <auto free>
struct Free {
    template <class T>
    void operator()(T* held) const {
        free(held);
    }
};
template <class T, auto free>
using Held = std::unique_ptr<T, Free<free>>;

const unsigned char* octets_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::string padded(const BIGNUM* number) {
    std::string octets(coordinate_octets, '\0');
    BN_bn2binpad(number, reinterpret_cast<unsigned char*>(octets.data()), coordinate_octets);
    return octets;
}

std::string coordinate(EVP_PKEY* key, const char* name) {
    BIGNUM* number = nullptr;
    EVP_PKEY_get_bn_param(key, name, &number);
    const Held<BIGNUM, BN_free> held(number);
    return held ? padded(held.get()) : std::string();
}

std::string flattened(std::string_view head, std::string_view payload, auto sign) {
    const std::string input = base64url(head) + '.' + base64url(payload);
    const std::size_t dot = input.find('.');
    return json::serialize(json::object{{"protected", input.substr(0, dot)},
                                        {"payload", input.substr(dot + 1)},
                                        {"signature", base64url(sign(input))}});
}

}  // namespace

std::string base64url(std::string_view octets) {
    std::string text = wire::base64_encode(octets);
    text.erase(std::find(text.begin(), text.end(), '='), text.end());
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
    return text;
}

std::optional<std::string> base64url_decode(std::string_view text, std::size_t octets_max) {
    if (text.find_first_of("+/") != text.npos) return std::nullopt;
    std::string plain(text);
    while (plain.ends_with('='))
        plain.pop_back();
    std::replace(plain.begin(), plain.end(), '-', '+');
    std::replace(plain.begin(), plain.end(), '_', '/');
    plain.append((4 - plain.size() % 4) % 4, '=');
    return wire::base64_decode(plain, octets_max);
}

std::string sha256(std::string_view octets) {
    std::string digest(SHA256_DIGEST_LENGTH, '\0');
    SHA256(octets_of(octets), octets.size(), reinterpret_cast<unsigned char*>(digest.data()));
    return digest;
}

std::string hmac_sha256(std::string_view key, std::string_view octets) {
    std::string mac(SHA256_DIGEST_LENGTH, '\0');
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), octets_of(octets), octets.size(),
         reinterpret_cast<unsigned char*>(mac.data()), nullptr);
    return mac;
}

std::string ec_jwk(std::string_view x, std::string_view y) {
    return json::serialize(
        json::object{{"crv", "P-256"}, {"kty", "EC"}, {"x", base64url(x)}, {"y", base64url(y)}});
}

std::string thumbprint(std::string_view jwk) {
    return base64url(sha256(jwk));
}

Result<Key> Key::make() {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    if (key == nullptr) return Error{ErrorKind::io, "cannot make a key: " + net::tls_error_text()};
    return Key(key);
}

Result<Key> Key::from_pem(std::string_view pem) {
    const Held<BIO, BIO_free> memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    Key key(PEM_read_bio_PrivateKey(memory.get(), nullptr, nullptr, nullptr));
    if (key.get() == nullptr) return Error{ErrorKind::invalid, "it is no private key (PEM)"};
    std::array<char, 64> group{};
    std::size_t count = 0;
    if (EVP_PKEY_get_group_name(key.get(), group.data(), group.size(), &count) != 1 ||
        std::string_view(group.data(), count) != "prime256v1")
        return Error{ErrorKind::invalid, "it is no key on the curve P-256"};
    return key;
}

std::string Key::pem() const {
    const Held<BIO, BIO_free> memory(BIO_new(BIO_s_secmem()));
    PEM_write_bio_PrivateKey(memory.get(), get(), nullptr, nullptr, 0, nullptr, nullptr);
    char* data = nullptr;
    const long count = BIO_get_mem_data(memory.get(), &data);
    return {data, static_cast<std::size_t>(count)};
}

std::string Key::jwk() const {
    return ec_jwk(coordinate(get(), OSSL_PKEY_PARAM_EC_PUB_X), coordinate(get(), OSSL_PKEY_PARAM_EC_PUB_Y));
}

std::string Key::sign(std::string_view octets) const {
    const Held<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
    std::array<unsigned char, 128> der{};
    std::size_t count = der.size();
    if (!context || EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, get()) != 1 ||
        EVP_DigestSign(context.get(), der.data(), &count, octets_of(octets), octets.size()) != 1)
        return {};
    const unsigned char* at = der.data();
    const Held<ECDSA_SIG, ECDSA_SIG_free> signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(count)));
    if (!signature) return {};
    return padded(ECDSA_SIG_get0_r(signature.get())) + padded(ECDSA_SIG_get0_s(signature.get()));
}

std::string make_jws(const Key& key, const JwsHead& head, std::string_view payload) {
    json::object fields{{"alg", "ES256"}, {"nonce", head.nonce}, {"url", head.url}};
    std::string text;
    if (!head.kid.empty()) {
        fields["kid"] = head.kid;
        text = json::serialize(fields);
    } else {
        text = json::serialize(fields);
        text.pop_back();
        text += R"(,"jwk":)" + key.jwk() + '}';
    }
    return flattened(text, payload, [&key](std::string_view input) { return key.sign(input); });
}

std::string make_external_binding(const Key& key, std::string_view kid, std::string_view mac_key,
                                  std::string_view new_account_url) {
    const std::string head =
        json::serialize(json::object{{"alg", "HS256"}, {"kid", kid}, {"url", new_account_url}});
    return flattened(head, key.jwk(),
                     [mac_key](std::string_view input) { return hmac_sha256(mac_key, input); });
}

}  // namespace pier::acme
