#include "wire/scram.h"

#include <algorithm>
#include <optional>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/utf8.h"
#include "wire/base64.h"
#include "wire/sasl_limits.h"

namespace pier::wire {

namespace {

const EVP_MD* digest_of(ScramHash hash) {
    return hash == ScramHash::sha1 ? EVP_sha1() : EVP_sha256();
}

const unsigned char* octets_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::string digest(ScramHash hash, std::string_view text) {
    std::string out(hash_octets(hash), '\0');
    EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(out.data()), nullptr,
               digest_of(hash), nullptr);
    return out;
}

Error malformed(std::string_view what) {
    return {ErrorKind::invalid, "SCRAM: " + std::string(what)};
}

// Takes what stands before the next comma off `rest`, and the comma. A rest of nullptr: nothing is left.
std::optional<std::string_view> take(std::string_view& rest) {
    if (rest.data() == nullptr) return std::nullopt;
    const std::size_t comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    return part;
}

bool good_nonce(std::string_view nonce) {
    if (nonce.empty() || nonce.size() > sasl_nonce_octets_max) return false;
    for (const char c : nonce)
        if (c < 0x21 || c > 0x7E || c == ',') return false;
    return true;
}

// cb-name (RFC 5802 §7).
bool good_binding_type(std::string_view text) {
    const auto good = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '-';
    };
    return !text.empty() && std::all_of(text.begin(), text.end(), good);
}

// attr-val (RFC 5802 §7), of which unknown ones are passed over.
bool good_extension(std::string_view part) {
    const auto letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
    return part.size() >= 3 && letter(part[0]) && part[1] == '=' && part[0] != 'm';
}

}  // namespace

std::optional<std::string> decode_saslname(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '=') {
            out += text[i];
        } else if (text.substr(i, 3) == "=2C") {
            out += ',';
            i += 2;
        } else if (text.substr(i, 3) == "=3D") {
            out += '=';
            i += 2;
        } else {
            return std::nullopt;
        }
    }
    return out;
}

std::size_t hash_octets(ScramHash hash) {
    return hash == ScramHash::sha1 ? 20 : 32;
}

std::string hmac(ScramHash hash, std::string_view key, std::string_view text) {
    std::string out(hash_octets(hash), '\0');
    HMAC(digest_of(hash), key.data(), static_cast<int>(key.size()), octets_of(text), text.size(),
         reinterpret_cast<unsigned char*>(out.data()), nullptr);
    return out;
}

ScramKeys derive_scram_keys(ScramHash hash, std::string_view password, std::string_view salt,
                            std::uint32_t iterations) {
    std::string salted(hash_octets(hash), '\0');
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), octets_of(salt),
                      static_cast<int>(salt.size()), static_cast<int>(iterations), digest_of(hash),
                      static_cast<int>(salted.size()), reinterpret_cast<unsigned char*>(salted.data()));
    std::string client_key = hmac(hash, salted, "Client Key");
    ScramKeys keys{.salt = std::string(salt),
                   .iterations = iterations,
                   .stored_key = digest(hash, client_key),
                   .server_key = hmac(hash, salted, "Server Key")};
    OPENSSL_cleanse(salted.data(), salted.size());
    OPENSSL_cleanse(client_key.data(), client_key.size());
    return keys;
}

Result<ScramClientFirst> parse_scram_client_first(std::string_view message) {
    if (message.empty()) return malformed("malformed first message");
    if (message.size() > sasl_message_octets_max) return malformed("message too long");
    if (!is_utf8(message) || message.find('\0') != std::string_view::npos)
        return malformed("invalid characters");
    std::string_view rest = message;
    const std::string_view binding = *take(rest);
    const bool binds = binding.starts_with("p=") && good_binding_type(binding.substr(2));
    if (!binds && binding != "n" && binding != "y") return malformed("malformed first message");
    const auto authzid = take(rest);
    if (!authzid || rest.data() == nullptr) return malformed("malformed first message");

    ScramClientFirst out;
    using Binding = ScramClientFirst::Binding;
    out.binding = binds ? Binding::yes : binding == "y" ? Binding::not_offered : Binding::no;
    if (binds) out.binding_type = binding.substr(2);
    if (!authzid->empty()) {
        const auto name = authzid->starts_with("a=") ? decode_saslname(authzid->substr(2)) : std::nullopt;
        if (!name || name->empty()) return malformed("malformed authorization identity");
        out.authzid = *name;
    }
    out.gs2_header = message.substr(0, message.size() - rest.size());
    out.bare = rest;

    const std::string_view user = *take(rest);
    if (user.starts_with("m=")) return malformed("mandatory extensions are not supported");
    const auto name = user.starts_with("n=") ? decode_saslname(user.substr(2)) : std::nullopt;
    if (!name || name->empty()) return malformed("malformed user name");
    if (name->size() > sasl_user_octets_max || out.authzid.size() > sasl_user_octets_max)
        return malformed("user name too long");
    out.user = *name;

    const auto nonce = take(rest);
    if (!nonce || !nonce->starts_with("r=") || !good_nonce(nonce->substr(2)))
        return malformed("malformed nonce");
    out.nonce = nonce->substr(2);
    while (const auto extension = take(rest))
        if (!good_extension(*extension)) return malformed("malformed extension");
    return out;
}

Result<ScramClientFinal> parse_scram_client_final(std::string_view message) {
    if (message.size() > sasl_message_octets_max) return malformed("message too long");
    // The proof is the last part (RFC 5802 §7), and base64 has no comma.
    const std::size_t comma = message.rfind(",p=");
    if (comma == std::string_view::npos) return malformed("malformed final message");
    std::string_view rest = message.substr(0, comma);
    ScramClientFinal out;
    out.without_proof = rest;

    const std::string_view binding = *take(rest);
    const auto nonce = take(rest);
    if (!binding.starts_with("c=") || !nonce || !nonce->starts_with("r="))
        return malformed("malformed final message");
    while (const auto extension = take(rest))
        if (!good_extension(*extension)) return malformed("malformed extension");

    auto decoded_binding = base64_decode(binding.substr(2), sasl_message_octets_max);
    auto proof = base64_decode(message.substr(comma + 3), EVP_MAX_MD_SIZE);
    if (!decoded_binding || !proof) return malformed("malformed base64");
    out.channel_binding = std::move(*decoded_binding);
    out.nonce = nonce->substr(2);
    out.proof = std::move(*proof);
    return out;
}

bool scram_proof_holds(ScramHash hash, const ScramKeys& keys, std::string_view auth_message,
                       std::string_view proof) {
    const std::size_t octets = hash_octets(hash);
    if (proof.size() != octets || keys.stored_key.size() != octets) return false;
    const std::string signature = hmac(hash, keys.stored_key, auth_message);
    std::string client_key(octets, '\0');
    for (std::size_t i = 0; i < octets; ++i)
        client_key[i] = static_cast<char>(proof[i] ^ signature[i]);
    const std::string stored_key = digest(hash, client_key);
    OPENSSL_cleanse(client_key.data(), client_key.size());
    return CRYPTO_memcmp(stored_key.data(), keys.stored_key.data(), octets) == 0;
}

std::string scram_server_final(ScramHash hash, const ScramKeys& keys, std::string_view auth_message) {
    return "v=" + base64_encode(hmac(hash, keys.server_key, auth_message));
}

}  // namespace pier::wire
