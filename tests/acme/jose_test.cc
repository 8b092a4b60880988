// The vectors of the RFCs, and what OpenSSL says of our signatures.
#include "acme/jose.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>

namespace pier::acme {
namespace {

namespace json = boost::json;

std::string field(const std::string& jws, std::string_view key) {
    return std::string(json::parse(jws).at(key).as_string());
}

json::value decoded(const std::string& jws, std::string_view key) {
    return json::parse(*base64url_decode(field(jws, key), 10'000));
}

bool verifies(const Key& key, const std::string& jws) {
    const std::string signature = *base64url_decode(field(jws, "signature"), 64);
    if (signature.size() != 64) return false;
    const auto* octets = reinterpret_cast<const unsigned char*>(signature.data());
    ECDSA_SIG* pair = ECDSA_SIG_new();
    ECDSA_SIG_set0(pair, BN_bin2bn(octets, 32, nullptr), BN_bin2bn(octets + 32, 32, nullptr));
    unsigned char* der = nullptr;
    const int count = i2d_ECDSA_SIG(pair, &der);
    const std::string input = field(jws, "protected") + '.' + field(jws, "payload");
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_DigestVerifyInit(context, nullptr, EVP_sha256(), nullptr, key.get());
    const int good = EVP_DigestVerify(context, der, static_cast<std::size_t>(count),
                                      reinterpret_cast<const unsigned char*>(input.data()), input.size());
    EVP_MD_CTX_free(context);
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return good == 1;
}

// RFC 7515 §C
TEST(Jose, Base64UrlHasNoPadding) {
    EXPECT_EQ(base64url("\x03\xec\xff\xe0\xc1"), "A-z_4ME");
    EXPECT_EQ(base64url_decode("A-z_4ME", 5), "\x03\xec\xff\xe0\xc1");
    EXPECT_EQ(base64url_decode("A-z_4ME=", 5), "\x03\xec\xff\xe0\xc1");
    EXPECT_EQ(base64url_decode("A-z_4ME", 4), std::nullopt);
    EXPECT_EQ(base64url_decode("A+z_4ME", 5), std::nullopt);
    EXPECT_EQ(base64url_decode("A-z_4M!", 5), std::nullopt);
    EXPECT_EQ(base64url(""), "");
}

// RFC 7515 §A.1
TEST(Jose, Hs256OfTheRfc) {
    const std::string input =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const auto key = base64url_decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", 64);
    ASSERT_TRUE(key.has_value());
    EXPECT_EQ(base64url(hmac_sha256(*key, input)), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

// RFC 7638 §3.1
TEST(Jose, ThumbprintOfTheRfc) {
    EXPECT_EQ(
        thumbprint(
            R"({"e":"AQAB","kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT8)"
            R"(6zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_)"
            R"(RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91C)"
            R"(bOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEg)"
            R"(U8awapJzKnqDKgw"})"),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

// RFC 9449 §6.1: the one of a key on our curve.
TEST(Jose, ThumbprintOfAnEcKey) {
    const std::string jwk = ec_jwk(*base64url_decode("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", 32),
                                   *base64url_decode("9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA", 32));
    EXPECT_EQ(jwk, R"({"crv":"P-256","kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",)"
                   R"("y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"})");
    EXPECT_EQ(thumbprint(jwk), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

TEST(Jose, AKeyIsTheSameAfterwards) {
    const auto key = Key::make();
    ASSERT_TRUE(key.has_value());
    const auto again = Key::from_pem(key->pem());
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->jwk(), key->jwk());
    EXPECT_NE(Key::make()->jwk(), key->jwk());
    EXPECT_FALSE(Key::from_pem("no key").has_value());
}

TEST(Jose, TheFirstRequestNamesTheKeyAndLaterOnesTheAccount) {
    const auto key = Key::make();
    const std::string first = make_jws(*key, {"https://ca.example/new-account", "nonce1", ""}, R"({"a":1})");
    const json::value head = decoded(first, "protected");
    EXPECT_EQ(head.at("alg").as_string(), "ES256");
    EXPECT_EQ(head.at("nonce").as_string(), "nonce1");
    EXPECT_EQ(head.at("url").as_string(), "https://ca.example/new-account");
    EXPECT_EQ(json::serialize(head.at("jwk")), key->jwk());
    EXPECT_FALSE(head.as_object().contains("kid"));
    EXPECT_EQ(decoded(first, "payload").at("a").as_int64(), 1);
    EXPECT_TRUE(verifies(*key, first));

    const std::string later =
        make_jws(*key, {"https://ca.example/order", "n", "https://ca.example/account/1"}, "");
    EXPECT_EQ(decoded(later, "protected").at("kid").as_string(), "https://ca.example/account/1");
    EXPECT_FALSE(decoded(later, "protected").as_object().contains("jwk"));
    EXPECT_EQ(field(later, "payload"), "");
    EXPECT_TRUE(verifies(*key, later));
    EXPECT_FALSE(verifies(*Key::make(), later));
}

TEST(Jose, SignaturesAreAlwaysOf64Octets) {
    const auto key = Key::make();
    // A number that begins with a zero octet comes once in 128 signatures.
    for (int i = 0; i < 1000; ++i)
        ASSERT_EQ(key->sign(std::to_string(i)).size(), 64u);
}

// RFC 8555 §7.3.4
TEST(Jose, TheExternalBindingIsTheAccountsKeyUnderTheirs) {
    const auto key = Key::make();
    const std::string bound =
        make_external_binding(*key, "kid-1", "secret", "https://ca.example/new-account");
    const json::value head = decoded(bound, "protected");
    EXPECT_EQ(head.at("alg").as_string(), "HS256");
    EXPECT_EQ(head.at("kid").as_string(), "kid-1");
    EXPECT_EQ(head.at("url").as_string(), "https://ca.example/new-account");
    EXPECT_FALSE(head.as_object().contains("nonce"));
    EXPECT_EQ(*base64url_decode(field(bound, "payload"), 1000), key->jwk());
    EXPECT_EQ(field(bound, "signature"),
              base64url(hmac_sha256("secret", field(bound, "protected") + '.' + field(bound, "payload"))));
}

}  // namespace
}  // namespace pier::acme
