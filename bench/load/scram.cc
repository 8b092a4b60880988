#include "load/scram.h"

#include <charconv>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "load/stop.h"

namespace load {
namespace {

using Digest = std::array<unsigned char, 32>;

std::string base64(std::string_view octets) {
    std::string text(4 * ((octets.size() + 2) / 3) + 1, '\0');
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(octets.data()),
                                     static_cast<int>(octets.size()));
    text.resize(static_cast<std::size_t>(size));
    return text;
}

std::string base64(const Digest& digest) {
    return base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string unbase64(std::string_view text) {
    std::string octets(text.size() + 1, '\0');
    const int size =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(octets.data()),
                        reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
    if (size < 0) throw Stop("SCRAM: the server's message is no base64: " + std::string(text));
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
        ++padding;
    octets.resize(static_cast<std::size_t>(size) - padding);
    return octets;
}

Digest hmac(const Digest& key, std::string_view text) {
    Digest digest;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), nullptr);
    return digest;
}

// "r=…,s=…,i=…": the value of one attribute.
std::string attribute(std::string_view message, char name) {
    while (!message.empty()) {
        const std::string_view part = message.substr(0, message.find(','));
        if (part.size() >= 2 && part[0] == name && part[1] == '=') return std::string(part.substr(2));
        message.remove_prefix(std::min(message.size(), part.size() + 1));
    }
    throw Stop(std::string("SCRAM: the server's message lacks ") + name + "=");
}

}  // namespace

const ScramKeyPair& ScramKeyCache::keys(const std::string& password, const std::string& salt,
                                        int iterations) {
    const std::string known_as = std::to_string(iterations) + ":" + salt + ":" + password;
    const auto found = known_.find(known_as);
    if (found != known_.end()) return found->second;
    Digest salted;
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                      reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()),
                      iterations, EVP_sha256(), static_cast<int>(salted.size()), salted.data());
    return known_[known_as] = {hmac(salted, "Client Key"), hmac(salted, "Server Key")};
}

ScramClient::ScramClient(ScramKeyCache& cache, std::string user, std::string password)
    : cache_(cache), user_(std::move(user)), password_(std::move(password)) {
    if (user_.find_first_of(",=") != std::string::npos)
        throw Stop("--login scram: no , or = in names, please");
}

std::string ScramClient::first_message() {
    unsigned char random[18];
    RAND_bytes(random, sizeof random);
    nonce_ = base64({reinterpret_cast<const char*>(random), sizeof random});
    first_bare_ = "n=" + user_ + ",r=" + nonce_;
    return base64("n,," + first_bare_);
}

std::string ScramClient::final_message(std::string_view server_first) {
    const std::string message = unbase64(server_first);
    const std::string nonce = attribute(message, 'r'), rounds = attribute(message, 'i');
    int iterations = 0;
    std::from_chars(rounds.data(), rounds.data() + rounds.size(), iterations);
    if (iterations < 1 || iterations > 10'000'000) throw Stop("SCRAM: strange iterations: " + rounds);
    if (!nonce.starts_with(nonce_)) throw Stop("SCRAM: the server's nonce does not begin with ours");

    const ScramKeyPair& keys = cache_.keys(password_, unbase64(attribute(message, 's')), iterations);
    const std::string without_proof = "c=" + base64("n,,") + ",r=" + nonce;
    auth_message_ = first_bare_ + "," + message + "," + without_proof;
    server_key_ = keys.server;
    Digest stored_key;
    SHA256(keys.client.data(), keys.client.size(), stored_key.data());
    Digest proof = hmac(stored_key, auth_message_);
    for (std::size_t i = 0; i < proof.size(); ++i)
        proof[i] ^= keys.client[i];
    return base64(without_proof + ",p=" + base64(proof));
}

void ScramClient::check_server_final(std::string_view server_final) const {
    if (attribute(unbase64(server_final), 'v') != base64(hmac(server_key_, auth_message_))) {
        throw Stop("SCRAM: the server does not know the password's keys");
    }
}

}  // namespace load
