// Tokens and keys: the examples of RFC 7515, RFC 7517 and RFC 8037, tokens of our own, and forged ones.
#include "auth/jwt.h"

#include <gtest/gtest.h>

#include "auth/introspection.h"
#include "auth/token_signer.h"

namespace pier::auth {
namespace {

using std::chrono::seconds;

const Time now = Time(seconds(1'700'000'000));

std::vector<Jwk> keys_of(const std::string& jwks) {
    auto keys = parse_jwks(key_set(jwks));
    EXPECT_TRUE(keys) << keys.error().text;
    return keys ? std::move(*keys) : std::vector<Jwk>();
}

template <class Verdict>
std::string word(const Verdict& verdict) {
    if (const auto* wrong = std::get_if<TokenWrong>(&verdict)) return std::string(wrong->reason);
    if (const auto* identity = std::get_if<TokenIdentity>(&verdict)) return "good: " + identity->user;
    return "neither";
}

std::string verified(std::string_view token, const std::vector<Jwk>& keys) {
    const auto result = verify_jws(token, keys);
    if (const auto* payload = std::get_if<std::string>(&result)) return *payload;
    if (const auto* wrong = std::get_if<TokenWrong>(&result)) return std::string(wrong->reason);
    return "unknown key";
}

constexpr const char* rfc7515_payload =
    "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";

// RFC 7515 §A.2.
constexpr const char* rsa_jwk =
    R"({"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt)"
    R"(0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsL)"
    R"(A9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9)"
    R"(iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"})";
constexpr const char* rs256_token =
    "eyJhbGciOiJSUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290I"
    "jp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
    "O8W2Fp5jujGb"
    "ds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_"
    "eSN"
    "9383LcOLn6_dO--xi12jzDwusC-"
    "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkW"
    "ywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

// RFC 7515 §A.3.
constexpr const char* p256_jwk =
    R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
    R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";
constexpr const char* es256_token =
    "eyJhbGciOiJFUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290I"
    "jp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

// RFC 8037 §A.4.
constexpr const char* ed25519_jwk =
    R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})";
constexpr const char* eddsa_token =
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"
    "09PGcvMg3AIbQR6dWbhij"
    "cNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

// RFC 7515 §A.1 and §A.5.
constexpr const char* hs256_token =
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtc"
    "GxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
constexpr const char* none_token =
    "eyJhbGciOiJub25lIn0."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ij"
    "p0cnVlfQ.";

TEST(Jws, ExamplesOfTheRfcs) {
    EXPECT_EQ(verified(rs256_token, keys_of(rsa_jwk)), rfc7515_payload);
    EXPECT_EQ(verified(es256_token, keys_of(p256_jwk)), rfc7515_payload);
    EXPECT_EQ(verified(eddsa_token, keys_of(ed25519_jwk)), "Example of Ed25519 signing");
    const auto all = keys_of(std::string(rsa_jwk) + "," + p256_jwk + "," + ed25519_jwk);
    for (const char* token : {rs256_token, es256_token})
        EXPECT_EQ(verified(token, all), rfc7515_payload);
    EXPECT_EQ(verified(hs256_token, all), "the token's algorithm is not taken");
    EXPECT_EQ(verified(none_token, all), "the token's algorithm is not taken");
}

class Signed : public testing::TestWithParam<const char*> {};

TEST_P(Signed, TokensAreVerifiedAndNoOctetOfThemMayChange) {
    const TokenSigner signer(GetParam(), "k1"), other(GetParam(), "k1");
    const auto keys = keys_of(signer.jwk());
    const std::string token = signer.sign("{\"a\":1}");
    EXPECT_EQ(verified(token, keys), "{\"a\":1}");
    EXPECT_EQ(verified(token, keys_of(other.jwk())), "the token's signature is wrong");
    EXPECT_EQ(verified(token, keys_of(other.jwk() + "," + signer.jwk())), "{\"a\":1}");
    for (std::size_t i = 0; i < token.size(); ++i) {
        std::string changed = token;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        EXPECT_NE(verified(changed, keys), "{\"a\":1}") << i;
    }
    for (std::size_t size = 0; size < token.size(); ++size)
        EXPECT_NE(verified(token.substr(0, size), keys), "{\"a\":1}") << size;
    EXPECT_NE(verified(token + "A", keys), "{\"a\":1}");
    EXPECT_NE(verified(token + "=", keys), "{\"a\":1}");
    EXPECT_NE(verified(token + ".", keys), "{\"a\":1}");
}

TEST_P(Signed, WithAKeyThatIsForAnotherAlgorithmIsRefused) {
    const TokenSigner signer(GetParam());
    const std::string token = signer.sign("{}");
    EXPECT_EQ(verified(token, keys_of(signer.jwk("\"alg\":\"" + std::string(GetParam()) + "\","))), "{}");
    EXPECT_EQ(verified(token, keys_of(signer.jwk("\"alg\":\"HS256\","))), "unknown key");
    EXPECT_EQ(verified(token, keys_of(signer.jwk("\"use\":\"enc\","))), "unknown key");
}

INSTANTIATE_TEST_SUITE_P(Algorithms, Signed, testing::Values("RS256", "PS256", "ES256", "ES384", "EdDSA"),
                         [](const auto& algorithm) { return std::string(algorithm.param); });

TEST(Jws, TheKeyIsTheOneThatTheHeaderNames) {
    const TokenSigner one("ES256", "one"), two("ES256", "two");
    EXPECT_EQ(verified(one.sign("{}"), keys_of(two.jwk())), "unknown key");
    EXPECT_EQ(verified(one.sign(R"({"alg":"ES256"})", "{}"), keys_of(two.jwk() + "," + one.jwk())), "{}");
    EXPECT_EQ(
        verified(one.sign(R"({"alg":"ES256","kid":"two"})", "{}"), keys_of(two.jwk() + "," + one.jwk())),
        "the token's signature is wrong");
    EXPECT_EQ(verified(one.sign("{}"), {}), "unknown key");
}

TEST(Jws, AlgorithmAndKeyMustBeOfOneType) {
    const TokenSigner rsa("RS256"), curve("ES256");
    const auto keys = keys_of(rsa.jwk());
    EXPECT_EQ(verified(rsa.sign(R"({"alg":"PS256"})", "{}"), keys), "the token's signature is wrong");
    for (const char* algorithm : {"ES256", "EdDSA", "ES384"})
        EXPECT_EQ(verified(rsa.sign(R"({"alg":")" + std::string(algorithm) + "\"}", "{}"), keys),
                  "unknown key");
    for (const char* algorithm : {"none", "None", "NONE", "", "HS256", "RS1", "rs256", "RS256 "})
        EXPECT_EQ(verified(rsa.sign(R"({"alg":")" + std::string(algorithm) + "\"}", "{}"), keys),
                  "the token's algorithm is not taken");
    EXPECT_EQ(verified(rsa.sign("{}", "{}"), keys), "the token's algorithm is not taken");
}

TEST(Jws, KeysAndExtensionsOfTheTokensOwnAreNotTaken) {
    const TokenSigner attacker("ES256"), issuer("ES256");
    const auto keys = keys_of(issuer.jwk());
    EXPECT_EQ(verified(attacker.sign(R"({"alg":"ES256","jwk":)" + attacker.jwk() + "}", "{}"), keys),
              "the token's signature is wrong");
    EXPECT_EQ(verified(issuer.sign(R"({"alg":"ES256","crit":["exp"],"exp":1})", "{}"), keys),
              "the token has critical extensions");
    EXPECT_EQ(verified(issuer.sign(R"({"alg":"ES256","typ":"logout+jwt"})", "{}"), keys),
              "the token is of another type");
    for (const char* type : {"JWT", "jwt", "at+jwt", "application/at+jwt"})
        EXPECT_EQ(verified(issuer.sign(R"({"alg":"ES256","typ":")" + std::string(type) + "\"}", "{}"), keys),
                  "{}");
}

TEST(Jws, RefusesWhatIsNone) {
    const TokenSigner issuer("ES256");
    const auto keys = keys_of(issuer.jwk());
    for (const std::string& token : {std::string(), std::string("."), std::string(".."), std::string("a.b"),
                                     std::string("a.b.c.d"), issuer.sign("[]", "{}"), issuer.sign("{", "{}")})
        EXPECT_EQ(verified(token, keys), "the token is no JSON Web Token") << token;
    EXPECT_EQ(verified(std::string(token_octets_max + 1, 'a'), keys), "the token is too long");
}

TEST(Jwks, PassesOverKeysThatItCannotUse) {
    const TokenSigner good("ES256", "good");
    const std::string other =
        R"({"kty":"oct","k":"AAAA"},{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"},{"kty":"RSA"},1,null,)"
        R"({"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"OKP","crv":"Ed25519","x":"AA"},{},)"
        R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
        R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1"},)";  // not on the curve
    const auto keys = keys_of(other + good.jwk());
    ASSERT_EQ(keys.size(), 1u);
    EXPECT_EQ(keys[0].id, "good");
}

TEST(Jwks, RsaKeysHaveLimits) {
    const auto key = [](std::size_t bits, const std::string& exponent) {
        std::string modulus(bits / 8, '\xFF');
        return R"({"kty":"RSA","n":")" + base64url(modulus) + R"(","e":")" + base64url(exponent) + "\"}";
    };
    const std::string usual("\1\0\1", 3);
    EXPECT_EQ(keys_of(key(2048, usual)).size(), 1u);
    EXPECT_EQ(keys_of(key(2040, usual)).size(), 0u);
    EXPECT_EQ(keys_of(key(8192, usual)).size(), 1u);
    EXPECT_EQ(keys_of(key(8200, usual)).size(), 0u);
    EXPECT_EQ(keys_of(key(2048, "\1")).size(), 0u);
    EXPECT_EQ(keys_of(key(2048, "\2")).size(), 0u);
    EXPECT_EQ(keys_of(key(2048, "\1\1\1\1\1")).size(), 0u);
}

TEST(Jwks, RefusesWhatIsNoKeySet) {
    for (const char* text : {"", "{", "[]", "{}", R"({"keys":{}})", "null"})
        EXPECT_FALSE(parse_jwks(text)) << text;
    EXPECT_TRUE(parse_jwks(R"({"keys":[]})"));
    std::string many = "1";
    for (std::size_t i = 1; i < jwks_keys_max; ++i)
        many += ",1";
    EXPECT_TRUE(parse_jwks(key_set(many)));
    EXPECT_FALSE(parse_jwks(key_set(many + ",1")));
    const std::string padded = key_set("");
    EXPECT_TRUE(parse_jwks(padded + std::string(jwks_octets_max - padded.size(), ' ')));
    EXPECT_FALSE(parse_jwks(padded + std::string(jwks_octets_max - padded.size() + 1, ' ')));
}

const TokenRules rules{.issuer = "https://issuer.example", .audiences = {"mail", "imap"}};

std::string claims(const std::string& more, const std::string& expires = "1700000300") {
    return R"({"iss":"https://issuer.example","aud":"mail","exp":)" + expires +
           R"(,"email":"ada@example.org")" + (more.empty() ? "" : "," + more) + "}";
}

std::string checked(const std::string& payload, const TokenRules& wanted = rules, Time at = now) {
    static const TokenSigner issuer("EdDSA");
    static const auto keys = keys_of(issuer.jwk());
    return word(check_jwt(issuer.sign(payload), keys, wanted, at));
}

TEST(Jwt, TellsWhoseItIs) {
    EXPECT_EQ(checked(claims("")), "good: ada@example.org");
    TokenRules other = rules;
    other.claim = "preferred_username";
    EXPECT_EQ(checked(claims(R"("preferred_username":"ada")"), other), "good: ada");
    EXPECT_EQ(checked(claims(""), other), "the token lacks the claim that names the account");
    for (const char* value : {"1", "null", "\"\"", "[\"ada\"]"})
        EXPECT_EQ(checked(claims(R"("preferred_username":)" + std::string(value)), other),
                  "the token lacks the claim that names the account");
}

TEST(Jwt, IsGoodWithinItsTimeAndTheLeeway) {
    const auto at = [](int after, const std::string& more = "", const char* expires = "1700000000") {
        return checked(claims(more, expires), rules, now + seconds(after));
    };
    EXPECT_EQ(at(59), "good: ada@example.org");
    EXPECT_EQ(at(60), "the token has expired");
    EXPECT_EQ(at(-1, R"("nbf":1700000059)"), "good: ada@example.org");
    EXPECT_EQ(at(-2, R"("nbf":1700000059)"), "the token is not valid yet");
    EXPECT_EQ(at(0, "", "1700000000.5"), "good: ada@example.org");
    for (const char* expires : {"\"1700000300\"", "null", "-1", "1e300", "true"})
        EXPECT_EQ(at(0, "", expires), "the token's exp is no time") << expires;
    EXPECT_EQ(at(0, R"("nbf":"now")"), "the token's nbf is no time");
    EXPECT_EQ(checked(R"({"iss":"https://issuer.example","aud":"mail","email":"ada"})"),
              "the token does not say when it expires");
}

TEST(Jwt, IsOfOurIssuerAndForUs) {
    const auto of = [](const std::string& issuer, const std::string& audience) {
        return checked(R"({"exp":1700000300,"email":"ada")" + issuer + audience + "}");
    };
    const std::string ours = R"(,"iss":"https://issuer.example")", for_us = R"(,"aud":"imap")";
    EXPECT_EQ(of(ours, for_us), "good: ada");
    EXPECT_EQ(of(ours, R"(,"aud":["x","mail"])"), "good: ada");
    EXPECT_EQ(of("", for_us), "the token is of another issuer");
    EXPECT_EQ(of(R"(,"iss":"https://issuer.example/")", for_us), "the token is of another issuer");
    EXPECT_EQ(of(R"(,"iss":["https://issuer.example"])", for_us), "the token is of another issuer");
    for (const char* audience :
         {"", R"(,"aud":"web")", R"(,"aud":[])", R"(,"aud":["x"])", R"(,"aud":{"mail":1})"})
        EXPECT_EQ(of(ours, audience), "the token is for another audience") << audience;
}

TEST(Jwt, HasTheScopeThatIsWanted) {
    TokenRules wanted = rules;
    wanted.scope = "mail.read";
    EXPECT_EQ(checked(claims(R"("scope":"openid mail.read")"), wanted), "good: ada@example.org");
    EXPECT_EQ(checked(claims(R"("scope":["openid","mail.read"])"), wanted), "good: ada@example.org");
    EXPECT_EQ(checked(claims(R"("scp":"mail.read")"), wanted), "good: ada@example.org");
    for (const char* scope :
         {R"("scope":"mail.readwrite openid")", R"("scope":"")", R"("scope":7)", R"("x":1)"})
        EXPECT_EQ(checked(claims(scope), wanted), "the token lacks the scope") << scope;
}

TEST(Jwt, AnAddressThatTheIssuerHasNotVerifiedIsNobodys) {
    const char* why = "the issuer has not verified that the address is the user's";
    EXPECT_EQ(checked(claims(R"("email_verified":true)")), "good: ada@example.org");
    EXPECT_EQ(checked(claims(R"("email_verified":"true")")), "good: ada@example.org");
    EXPECT_EQ(checked(claims(R"("email_verified":false)")), why);
    EXPECT_EQ(checked(claims(R"("email_verified":null)")), why);
}

TEST(Introspection, ReadsTheIssuersAnswer) {
    TokenRules by_name = rules;
    by_name.claim = "username";
    const auto read = [&](const std::string& json) { return word(read_introspection(json, by_name, now)); };
    EXPECT_EQ(read(R"({"active":true,"username":"ada"})"), "good: ada");
    EXPECT_EQ(read(R"({"active":false})"), "the issuer says that the token is not active");
    EXPECT_EQ(read(R"({"active":true})"), "the token lacks the claim that names the account");
    EXPECT_EQ(read(R"({"active":true,"username":"ada","exp":1699999900})"), "the token has expired");
    EXPECT_EQ(read(R"({"active":true,"username":"ada","aud":"web"})"), "the token is for another audience");
    EXPECT_EQ(read(R"({"active":true,"username":"ada","iss":"x"})"), "the token is of another issuer");
    for (const char* text : {"", "{", "[]", "{}", R"({"active":"true","username":"ada"})", R"({"active":1})"})
        EXPECT_EQ(read(text), "neither") << text;
    EXPECT_EQ(read(std::string(introspection_octets_max + 1, ' ')), "neither");
}

}  // namespace
}  // namespace pier::auth
