#include "net/tls_records.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

namespace pier::net {
namespace {

constexpr std::size_t header_octets = 5, tag_octets = 16;
constexpr std::size_t sealed_octets_max = TlsRecords::text_octets_max + 256;  // RFC 8446 §5.2

enum ContentType : std::uint8_t { alert = 21, handshake = 22, application_data = 23 };
constexpr std::uint8_t close_notify = 0, user_canceled = 90;
constexpr std::uint8_t unexpected_message = 10, bad_record_mac = 20, record_overflow = 22,
                       illegal_parameter = 47;
constexpr std::uint8_t warning = 1, fatal = 2;
constexpr char key_update = 24;

// RFC 8446 §5.5: AES-GCM is safe for 2^24.5 full records under one key.
constexpr std::uint64_t records_per_key_max = std::uint64_t{1} << 24;
// An update costs us much more than the peer.
constexpr std::uint8_t updates_in_a_row_max = 32;

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

struct FreeMac {
    void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};
using MacPtr = std::unique_ptr<EVP_MAC_CTX, FreeMac>;

// This thread's working state of HMAC with a digest of that length: looking algorithms up anew takes longer
// than HMAC.
EVP_MAC_CTX* hmac_with(std::size_t digest_octets) {
    static thread_local std::array<MacPtr, 2> contexts;
    MacPtr& context = contexts[digest_octets == 32 ? 0 : 1];
    if (!context) {
        EVP_MAC* hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
        context.reset(EVP_MAC_CTX_new(hmac));
        EVP_MAC_free(hmac);
        char name[] = "SHA256", longer_name[] = "SHA384";
        const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(
                                         OSSL_MAC_PARAM_DIGEST, digest_octets == 32 ? name : longer_name, 0),
                                     OSSL_PARAM_construct_end()};
        if (context && EVP_MAC_CTX_set_params(context.get(), params) != 1) context.reset();
    }
    return context.get();
}

// HKDF-Expand-Label (RFC 8446 §7.1) of at most one hash's length: then HKDF-Expand (RFC 5869 §2.3) is one
// HMAC. The secret is as long as the hash.
bool expand_label(std::span<const unsigned char> secret, std::string_view label, std::string_view context,
                  std::span<unsigned char> out) {
    EVP_MAC_CTX* hmac = hmac_with(secret.size());
    std::string info;
    info += static_cast<char>(out.size() >> 8);
    info += static_cast<char>(out.size() & 0xff);
    info += static_cast<char>(6 + label.size());
    info += "tls13 ";
    info += label;
    info += static_cast<char>(context.size());
    info += context;
    info += '\1';  // the first block
    std::array<unsigned char, EVP_MAX_MD_SIZE> block;
    std::size_t octets = 0;
    const bool made =
        hmac != nullptr && EVP_MAC_init(hmac, secret.data(), secret.size(), nullptr) == 1 &&
        EVP_MAC_update(hmac, reinterpret_cast<const unsigned char*>(info.data()), info.size()) == 1 &&
        EVP_MAC_final(hmac, block.data(), &octets, block.size()) == 1 && octets >= out.size();
    if (made) std::copy_n(block.begin(), out.size(), out.begin());
    OPENSSL_cleanse(block.data(), block.size());
    return made;
}

int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

struct TlsRecords::Suite {
    std::uint16_t id;  // RFC 8446 §B.4
    EVP_CIPHER* cipher;
    std::size_t key_octets, digest_octets, number;

    // This thread's working state for it; its cipher is set, its key is what was used last.
    EVP_CIPHER_CTX* context(bool sealing) const {
        static thread_local std::array<ContextPtr, 6> contexts;
        ContextPtr& context = contexts[number * 2 + (sealing ? 1 : 0)];
        if (!context) {
            context.reset(EVP_CIPHER_CTX_new());
            if (!context ||
                EVP_CipherInit_ex2(context.get(), cipher, nullptr, nullptr, sealing ? 1 : 0, nullptr) != 1)
                context.reset();
        }
        return context.get();
    }
};

const TlsRecords::Suite* TlsRecords::suite_of(std::uint16_t id) {
    static const std::array<Suite, 3> suites = {
        Suite{0x1301, EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr), 16, 32, 0},
        Suite{0x1302, EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr), 32, 48, 1},
        Suite{0x1303, EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr), 32, 32, 2}};
    const auto at =
        std::find_if(suites.begin(), suites.end(), [&](const Suite& suite) { return suite.id == id; });
    return at == suites.end() || at->cipher == nullptr ? nullptr : &*at;
}

TlsRecords::Secret::~Secret() {
    OPENSSL_cleanse(octets.data(), octets.size());
}

TlsRecords::Direction::~Direction() {
    OPENSSL_cleanse(key.data(), key.size());
}

bool TlsRecords::Secret::set(std::string_view hex) {
    size = 0;
    if (hex.size() % 2 != 0 || hex.size() > 2 * octets.size()) return false;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        const int high = digit(hex[i]), low = digit(hex[i + 1]);
        if (high < 0 || low < 0) return false;
        octets[i / 2] = static_cast<unsigned char>(high * 16 + low);
    }
    size = hex.size() / 2;
    return true;
}

bool TlsRecords::Direction::make_keys(const Suite& suite) {
    records = 0;
    return expand_label(secret.span(), "key", {}, {key.data(), suite.key_octets}) &&
           expand_label(secret.span(), "iv", {}, iv);
}

bool TlsRecords::Direction::update(const Suite& suite) {
    return expand_label(secret.span(), "traffic upd", {}, secret.span()) && make_keys(suite);
}

// RFC 8446 §5.3
std::array<unsigned char, 12> TlsRecords::Direction::nonce() const {
    auto nonce = iv;
    for (std::size_t octet = 0; octet < 8; ++octet)
        nonce[11 - octet] ^= static_cast<unsigned char>(records >> (8 * octet));
    return nonce;
}

bool TlsRecords::begin(std::uint16_t suite, std::uint64_t written) {
    suite_ = suite_of(suite);
    if (suite_ == nullptr || in_.secret.size != suite_->digest_octets ||
        out_.secret.size != suite_->digest_octets)
        return false;
    if (!in_.make_keys(*suite_) || !out_.make_keys(*suite_)) return false;
    out_.records = written;
    return true;
}

bool TlsRecords::export_secret(std::string_view label, std::span<unsigned char> out) const {
    if (exporter_.size != suite_->digest_octets || out.size() > suite_->digest_octets) return false;
    std::array<char, EVP_MAX_MD_SIZE> of_nothing;
    unsigned int octets = 0;
    if (EVP_Digest("", 0, reinterpret_cast<unsigned char*>(of_nothing.data()), &octets,
                   exporter_.size == 32 ? EVP_sha256() : EVP_sha384(), nullptr) != 1)
        return false;
    const std::string_view hash(of_nothing.data(), octets);
    Secret derived;
    derived.size = exporter_.size;
    return expand_label(exporter_.span(), label, hash, derived.span()) &&
           expand_label(derived.span(), "exporter", hash, out);
}

bool TlsRecords::seal_one(std::uint8_t type, std::string_view text, std::string& out) {
    EVP_CIPHER_CTX* context = suite_->context(true);
    if (context == nullptr) return false;
    const std::size_t begin = out.size(), sealed = text.size() + 1 + tag_octets;
    const unsigned char header[header_octets] = {application_data, 3, 3,
                                                 static_cast<unsigned char>(sealed >> 8),
                                                 static_cast<unsigned char>(sealed & 0xff)};
    out.append(reinterpret_cast<const char*>(header), sizeof header);
    out.resize(begin + header_octets + sealed);
    auto* place = reinterpret_cast<unsigned char*>(out.data()) + begin + header_octets;
    const auto nonce = out_.nonce();
    int octets = 0;
    const bool done =
        EVP_EncryptInit_ex2(context, nullptr, out_.key.data(), nonce.data(), nullptr) == 1 &&
        EVP_EncryptUpdate(context, nullptr, &octets, header, sizeof header) == 1 &&
        EVP_EncryptUpdate(context, place, &octets, reinterpret_cast<const unsigned char*>(text.data()),
                          static_cast<int>(text.size())) == 1 &&
        EVP_EncryptUpdate(context, place + text.size(), &octets, &type, 1) == 1 &&
        EVP_EncryptFinal_ex(context, place + text.size() + 1, &octets) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag_octets, place + text.size() + 1) == 1;
    if (!done) out.resize(begin);
    ++out_.records;
    return done;
}

bool TlsRecords::seal(std::string_view text, std::string& out) {
    while (!text.empty()) {
        if (out_.records >= records_per_key_max && !seal_key_update(out)) return false;
        if (!seal_one(application_data, text.substr(0, text_octets_max), out)) return false;
        text.remove_prefix(std::min(text.size(), text_octets_max));
    }
    return true;
}

bool TlsRecords::seal_alert(std::string& out) {
    const char text[] = {static_cast<char>(alert_ == close_notify ? warning : fatal),
                         static_cast<char>(alert_)};
    return seal_one(alert, {text, sizeof text}, out);
}

bool TlsRecords::seal_key_update(std::string& out) {
    owes_key_update_ = false;
    static constexpr char message[] = {key_update, 0, 0, 1, 0};  // update_not_requested
    return seal_one(handshake, {message, sizeof message}, out) && out_.update(*suite_);
}

TlsRecords::Opened TlsRecords::refuse(std::uint8_t alert, const char* reason) {
    alert_ = alert;
    reason_ = reason;
    return Opened::bad;
}

bool TlsRecords::decrypt(std::string_view header, std::string_view sealed, char* out) {
    EVP_CIPHER_CTX* context = suite_->context(false);
    if (context == nullptr) return false;
    const std::size_t text_octets = sealed.size() - tag_octets;
    const auto* from = reinterpret_cast<const unsigned char*>(sealed.data());
    auto* to = reinterpret_cast<unsigned char*>(out);
    const auto nonce = in_.nonce();
    int octets = 0;
    return EVP_DecryptInit_ex2(context, nullptr, in_.key.data(), nonce.data(), nullptr) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_octets,
                               const_cast<unsigned char*>(from + text_octets)) == 1 &&
           EVP_DecryptUpdate(context, nullptr, &octets, reinterpret_cast<const unsigned char*>(header.data()),
                             static_cast<int>(header.size())) == 1 &&
           EVP_DecryptUpdate(context, to, &octets, from, static_cast<int>(text_octets)) == 1 &&
           EVP_DecryptFinal_ex(context, to + text_octets, &octets) == 1;
}

TlsRecords::Opened TlsRecords::open(std::string_view& input, std::span<char> out, std::size_t& octets) {
    octets = 0;
    if (input.size() < header_octets) return Opened::incomplete;
    const std::string_view header = input.substr(0, header_octets);
    // After the handshake nothing comes in the clear (RFC 8446 §5.1), not even change_cipher_spec (§5).
    if (static_cast<std::uint8_t>(header[0]) != application_data)
        return refuse(unexpected_message, "a record that is not encrypted");
    const std::size_t length = static_cast<std::size_t>(static_cast<unsigned char>(header[3])) << 8 |
                               static_cast<unsigned char>(header[4]);
    if (length > sealed_octets_max) return refuse(record_overflow, "a record that is too long");
    if (length < tag_octets + 1) return refuse(bad_record_mac, "a record that is too short");
    if (input.size() < header_octets + length) return Opened::incomplete;
    if (out.size() < length - tag_octets) return Opened::incomplete;  // the caller gives more room next time
    if (!decrypt(header, input.substr(header_octets, length), out.data())) {
        OPENSSL_cleanse(out.data(), length - tag_octets);
        return refuse(bad_record_mac, "a record that was changed on its way");
    }
    ++in_.records;
    input.remove_prefix(header_octets + length);
    // RFC 8446 §5.2: the type is the last octet that is not zero.
    std::string_view text(out.data(), length - tag_octets);
    const std::size_t type_at = text.find_last_not_of('\0');
    if (type_at == std::string_view::npos) return refuse(unexpected_message, "a record without a type");
    if (type_at > text_octets_max) return refuse(record_overflow, "a record that is too long");
    const auto type = static_cast<std::uint8_t>(text[type_at]);
    text = text.substr(0, type_at);
    if (type == alert) return take_alert(text);
    if (type == handshake) return take_handshake(text);
    if (type != application_data) return refuse(unexpected_message, "a record of an unknown type");
    updates_in_a_row_ = 0;
    octets = text.size();
    return Opened::data;
}

TlsRecords::Opened TlsRecords::take_alert(std::string_view text) {
    if (text.size() != 2) return refuse(unexpected_message, "an alert that is none");
    const auto what = static_cast<std::uint8_t>(text[1]);
    if (what == close_notify) return Opened::end;
    if (what == user_canceled) return Opened::nothing;  // RFC 8446 §6.1: close_notify follows
    return refuse(close_notify, "the peer says that something is wrong");
}

// Of handshake messages only KeyUpdate may come from a client that was not asked for a certificate.
TlsRecords::Opened TlsRecords::take_handshake(std::string_view text) {
    if (text.size() != 5 || text[0] != key_update || text.substr(1, 3) != std::string_view("\0\0\1", 3))
        return refuse(unexpected_message, "a handshake message that was not expected");
    if (text[4] != 0 && text[4] != 1) return refuse(illegal_parameter, "a wrong KeyUpdate");
    if (++updates_in_a_row_ > updates_in_a_row_max) return refuse(unexpected_message, "too many KeyUpdates");
    if (text[4] == 1) owes_key_update_ = true;
    if (!in_.update(*suite_)) return refuse(80 /* internal_error */, "no new keys");
    return Opened::nothing;
}

}  // namespace pier::net
