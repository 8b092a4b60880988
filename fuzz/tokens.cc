// Key sets, tokens, and issuers' answers about tokens. Input: one octet that says which of them, then the
// text. A token's text is taken as it is, or as the claims of a token that the issuer has signed.
#include <string>
#include <variant>

#include <openssl/evp.h>

#include "auth/introspection.h"
#include "auth/jwk.h"
#include "auth/jwt.h"
#include "fuzz/require.h"
#include "wire/base64.h"
#include "wire/sasl_limits.h"

using namespace pier::auth;
using pier::fuzz::require;

namespace {

const pier::Time now{std::chrono::seconds(1'700'000'000)};
const TokenRules rules{.issuer = "i", .audiences = {"a"}, .claim = "email", .scope = "s"};

std::string base64url(std::string_view octets) {
    std::string text = pier::wire::base64_encode(octets);
    text.erase(text.find_last_not_of('=') + 1);
    for (char& c : text)
        c = c == '+' ? '-' : c == '/' ? '_' : c;
    return text;
}

// RFC 8037 appendix A.1
struct Issuer {
    EVP_PKEY* key = nullptr;
    std::vector<Jwk> keys;

    Issuer() {
        const auto secret = pier::wire::base64url_decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", 32);
        key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                           reinterpret_cast<const unsigned char*>(secret->data()), 32);
        keys = *parse_jwks(
            R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})");
    }

    std::string sign(std::string_view payload) const {
        std::string text = base64url(R"({"alg":"EdDSA"})") + "." + base64url(payload);
        unsigned char signature[64];
        std::size_t size = sizeof signature;
        EVP_MD_CTX* context = EVP_MD_CTX_new();
        EVP_DigestSignInit(context, nullptr, nullptr, nullptr, key);
        EVP_DigestSign(context, signature, &size, reinterpret_cast<const unsigned char*>(text.data()),
                       text.size());
        EVP_MD_CTX_free(context);
        return text + "." + base64url({reinterpret_cast<const char*>(signature), size});
    }
};

template <class Verdict>
void check(const Verdict& verdict) {
    if (const auto* identity = std::get_if<TokenIdentity>(&verdict)) {
        require(!identity->user.empty() && identity->user.size() <= pier::wire::sasl_user_octets_max,
                "a token is somebody's");
        require(identity->expires > now, "what is good has not expired");
    }
    if (const auto* wrong = std::get_if<TokenWrong>(&verdict))
        require(!wrong->reason.empty(), "the log is told why");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Issuer issuer;
    if (size == 0) return 0;
    const std::string_view text = pier::fuzz::text_of(data + 1, size - 1);
    if (data[0] % 4 == 0) {
        const auto keys = parse_jwks(text);
        if (!keys) return 0;
        require(keys->size() <= jwks_keys_max, "a key set is bounded");
        for (const Jwk& jwk : *keys)
            require(jwk.key != nullptr, "a key is one");
        check(check_jwt(issuer.sign("{}"), *keys, rules, now));
    } else if (data[0] % 4 == 1) {
        const auto verdict = check_jwt(text, issuer.keys, rules, now);
        // The fuzzer does not forge Ed25519; the one token that it may know is RFC 8037's, which has no
        // claims.
        require(!std::holds_alternative<TokenIdentity>(verdict), "nothing is good that was not signed");
        check(verdict);
    } else if (data[0] % 4 == 2) {
        const auto verdict = check_jwt(issuer.sign(text), issuer.keys, rules, now);
        require(!std::holds_alternative<UnknownKey>(verdict), "the key is known");
        if (std::holds_alternative<TokenIdentity>(verdict))
            for (const char* word : {"iss", "aud", "exp", "email"})
                require(
                    text.find(word) != std::string_view::npos || text.find('\\') != std::string_view::npos,
                    "a good token has all claims");
        check(verdict);
    } else {
        check(read_introspection(text, rules, now));
    }
    return 0;
}
