// The records of an established TLS 1.3 connection, from a peer that knows the keys and keeps no rule: what
// comes out is what was put in, and nothing comes out behind an end or a fault. Input: records, each as one
// octet of content type, one of padding, two of length (big-endian) and its text; a type of 0 means that the
// text is put on the wire as it is.
#include "net/tls_records.h"

#include <array>
#include <string>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "fuzz/require.h"

using pier::net::TlsRecords;
using Opened = TlsRecords::Opened;
using pier::fuzz::require;

namespace {

constexpr std::uint8_t application_data = 23, handshake = 22;

// The peer's side of the keys, RFC 8446 §7.1 and §7.3, for TLS_AES_128_GCM_SHA256.
class Sealer {
  public:
    Sealer() { make_keys(); }
    std::string secret_hex() const {
        std::string text;
        for (const char c : secret_) {
            text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
            text += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
        }
        return text;
    }
    void update() {
        secret_ = expand("traffic upd", 32);
        make_keys();
    }
    std::string seal(std::uint8_t type, std::string_view text, std::size_t padding) {
        std::string inner(text);
        inner += static_cast<char>(type);
        inner.append(padding, '\0');
        const std::size_t length = inner.size() + 16;
        std::string record = {23, 3, 3, static_cast<char>(length >> 8), static_cast<char>(length & 0xff)};
        std::string nonce = iv_;
        for (int i = 0; i < 8; ++i)
            nonce[static_cast<std::size_t>(11 - i)] ^= static_cast<char>(records_ >> (8 * i));
        ++records_;
        record.resize(5 + length);
        auto* out = reinterpret_cast<unsigned char*>(record.data());
        EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
        int octets = 0;
        EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), nullptr, bytes(key_), bytes(nonce));
        EVP_EncryptUpdate(context, nullptr, &octets, out, 5);
        EVP_EncryptUpdate(context, out + 5, &octets, bytes(inner), static_cast<int>(inner.size()));
        EVP_EncryptFinal_ex(context, out + 5 + inner.size(), &octets);
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, out + 5 + inner.size());
        EVP_CIPHER_CTX_free(context);
        return record;
    }

  private:
    static const unsigned char* bytes(const std::string& text) {
        return reinterpret_cast<const unsigned char*>(text.data());
    }
    std::string expand(const std::string& label, std::size_t octets) const {
        std::string info = {'\0', static_cast<char>(octets), static_cast<char>(6 + label.size())};
        info += "tls13 " + label;
        info += std::string("\0\1", 2);
        std::array<unsigned char, 32> block;
        unsigned int length = block.size();
        HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()), bytes(info), info.size(),
             block.data(), &length);
        return {reinterpret_cast<const char*>(block.data()), octets};
    }
    void make_keys() {
        key_ = expand("key", 16);
        iv_ = expand("iv", 12);
        records_ = 0;
    }
    std::string secret_ = std::string(32, 's'), key_, iv_;
    std::uint64_t records_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Sealer peer;
    TlsRecords records;
    require(records.set_client_secret(peer.secret_hex()) && records.set_server_secret(peer.secret_hex()),
            "secrets are taken");
    require(records.begin(0x1301, 0), "records begin");
    std::string_view rest = pier::fuzz::text_of(data, size);
    std::string out(TlsRecords::text_octets_max + 512, '\0'), answers;
    bool over = false;
    while (rest.size() >= 4 && !over) {
        const auto type = static_cast<std::uint8_t>(rest[0]);
        const std::size_t padding = static_cast<unsigned char>(rest[1]);
        const std::size_t wanted = static_cast<std::size_t>(static_cast<unsigned char>(rest[2])) << 8 |
                                   static_cast<unsigned char>(rest[3]);
        const std::string text(rest.substr(4, wanted));
        rest.remove_prefix(4 + text.size());
        const std::string wire = type == 0 ? text : peer.seal(type, text, padding);
        std::string_view input = wire;
        std::size_t octets = 0;
        const Opened opened = records.open(input, out, octets);
        if (opened == Opened::data) {
            require(type == application_data && std::string_view(out.data(), octets) == text && input.empty(),
                    "what comes out is what was put in");
        } else {
            require(octets == 0, "nothing comes out that is no data");
        }
        if (opened == Opened::nothing && type == handshake) peer.update();
        over = opened == Opened::bad || opened == Opened::end || opened == Opened::incomplete;
        if (opened == Opened::bad) require(records.seal_alert(answers), "a fault is answered");
        if (records.owes_key_update()) require(records.seal_key_update(answers), "a key update is answered");
    }
    require(over || records.seal("still good for an answer", answers), "an answer can be sent");
    return 0;
}
