// The SASL exchanges with any responses: nothing is proven without the proof, and a finished exchange stays
// finished. Input: one octet for the mechanism, the initial response, whether the client knows the password
// and whether the channel can be bound to, then responses, each with its length in one octet in front. A
// client that knows it puts the right proof behind whatever it says last, and its token is good.
#include "wire/sasl.h"

#include <string>

#include "fuzz/require.h"
#include "wire/base64.h"
#include "wire/sasl_limits.h"
#include "wire/scram.h"

using namespace pier::wire;
using pier::fuzz::require;

namespace {

enum Choice : std::uint8_t { initial_response = 0x80, knows_password = 0x40, bindable = 0x20 };

// One exchange has at most this many steps that are not an end: SCRAM's.
constexpr int challenges_max = 3;

constexpr std::string_view password = "pencil", salt = "salt";

// RFC 5802 §3, for one iteration.
std::string client_proof(ScramHash hash, const ScramKeys& keys, std::string_view auth_message) {
    const std::string salted = hmac(hash, password, std::string(salt) + std::string("\0\0\0\1", 4));
    std::string proof = hmac(hash, salted, "Client Key");
    const std::string signature = hmac(hash, keys.stored_key, auth_message);
    for (std::size_t i = 0; i < proof.size(); ++i)
        proof[i] = static_cast<char>(proof[i] ^ signature[i]);
    return proof;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const ScramKeys sha1 = derive_scram_keys(ScramHash::sha1, password, salt, 1);
    static const ScramKeys sha256 = derive_scram_keys(ScramHash::sha256, password, salt, 1);
    if (size == 0) return 0;
    const std::uint8_t choice = data[0];
    std::string_view rest = pier::fuzz::text_of(data + 1, size - 1);
    static const SaslTokenSource source{"scope", "https://issuer.example/"};
    SaslOffer offer((choice & bindable) != 0 ? SaslChannel::bindable : SaslChannel::unbound);
    offer.tokens = &source;
    offer.certificate = true;
    const auto mechanisms = sasl_mechanisms(offer);
    const std::string_view mechanism = mechanisms[choice % 16 % mechanisms.size()];
    const auto exchange = SaslExchange::begin(mechanism, offer);

    std::string said;  // by the client, last
    const auto next = [&rest, &said] {
        const std::size_t octets = rest.empty() ? 0 : static_cast<unsigned char>(rest[0]) * 16u;
        said = rest.substr(rest.empty() ? 0 : 1, octets);
        rest.remove_prefix(rest.empty() ? 0 : 1 + said.size());
        return said;
    };
    SaslStep step =
        (choice & initial_response) != 0 ? exchange->start(next()) : exchange->start(std::nullopt);
    bool proof_sent = false;
    for (int challenges = 0;;) {
        if (std::holds_alternative<SaslChallenge>(step)) {
            require(++challenges <= challenges_max, "an exchange ends");
            step = exchange->on_response(next());
        } else if (const auto* need = std::get_if<SaslNeedKeys>(&step)) {
            require(mechanism.substr(0, 6) == "SCRAM-" && !need->user.empty(), "keys are somebody's");
            const ScramHash hash = need->hash;
            const ScramKeys& keys = hash == ScramHash::sha1 ? sha1 : sha256;
            const auto first = parse_scram_client_first(said);
            require(first.has_value(), "keys are needed for a message that could be read");
            step = exchange->on_keys(keys, "nonce", need->channel_binding.empty() ? "" : "bound");
            const auto* server_first = std::get_if<SaslChallenge>(&step);
            if (server_first == nullptr || (choice & knows_password) == 0) continue;
            require(++challenges <= challenges_max, "an exchange ends");
            const std::string last = next();
            const std::string auth_message = first->bare + "," + server_first->text + "," + last;
            proof_sent = true;
            step =
                exchange->on_response(last + ",p=" + base64_encode(client_proof(hash, keys, auth_message)));
        } else if (const auto* token = std::get_if<SaslCheckToken>(&step)) {
            require(mechanism == "OAUTHBEARER" || mechanism == "XOAUTH2", "only these show a token");
            require(!token->token.empty() && token->token.size() <= sasl_message_octets_max &&
                        token->token.find_first_of(std::string_view("\0\1 \r\n", 5)) == std::string::npos,
                    "a token is one word");
            require(token->authzid.size() <= sasl_user_octets_max &&
                        token->authzid.find('\0') == std::string::npos,
                    "a user's name is bounded");
            if ((choice & knows_password) != 0) break;
            step = exchange->on_token_refused();
            require(std::holds_alternative<SaslChallenge>(step), "who is refused is told why");
            step = exchange->on_response(next());
            require(std::holds_alternative<SaslFailed>(step), "a refused token ends the exchange");
        } else {
            break;
        }
    }
    if (const auto* certificate = std::get_if<SaslCheckCertificate>(&step))
        require(mechanism == "EXTERNAL" && certificate->authzid.size() <= sasl_user_octets_max &&
                    certificate->authzid.find('\0') == std::string::npos,
                "only EXTERNAL is about certificates, and a name is bounded");
    if (const auto* check = std::get_if<SaslCheckPassword>(&step)) {
        require(sasl_sends_password(mechanism), "only PLAIN and LOGIN show a password");
        require(!check->user.empty() && check->user.size() <= sasl_user_octets_max,
                "a user's name is bounded");
        require(!check->password.empty() && check->password.size() <= sasl_password_octets_max,
                "a password is bounded");
        require(
            check->user.find('\0') == std::string::npos && check->password.find('\0') == std::string::npos,
            "no NUL in a name or a password");
    }
    // The fuzzer does not break SHA-1.
    if (const auto* proven = std::get_if<SaslProven>(&step))
        require(proof_sent && !proven->user.empty(), "nothing is proven without the proof");
    if (const auto* failed = std::get_if<SaslFailed>(&step))
        require(!failed->text.empty() && failed->text.find_first_of("\r\n") == std::string::npos,
                "a failure is told in one line");
    require(std::holds_alternative<SaslFailed>(exchange->on_response(next())), "what is over is over");
    return 0;
}
