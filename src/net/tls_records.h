// The record layer of an established TLS 1.3 connection, the server's side (RFC 8446 §5 and §4.6.3). OpenSSL
// does the handshake; its state for one connection is 14 KB and goes when the handshake is over. What is
// needed from then on is here: two secrets, two keys, two counters. The ciphers are OpenSSL's; a cipher's
// working state is borrowed from the thread for each record. Owned by a TlsStream; on its loop's thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <openssl/types.h>

namespace pier::net {

class TlsRecords {
  public:
    static constexpr std::size_t text_octets_max = 16384;    // in one record
    static constexpr std::size_t extra_octets = 5 + 1 + 16;  // header, inner type, tag

    // A traffic secret as OpenSSL's key log gives it (hexadecimal). False: not one of this length.
    bool set_client_secret(std::string_view hex) { return in_.secret.set(hex); }
    bool set_server_secret(std::string_view hex) { return out_.secret.set(hex); }
    bool set_exporter_secret(std::string_view hex) { return exporter_.set(hex); }

    // `suite` is the cipher suite's number (RFC 8446 §B.4). Takes the connection over, when both secrets are
    // there. `written` records were sent under the server's secret already (tickets). False: not a cipher
    // that is known here, or a secret is missing.
    bool begin(std::uint16_t suite, std::uint64_t written);

    // Appends records with `text` in them. False: no randomness or memory was needed, so this is a fault in
    // OpenSSL.
    bool seal(std::string_view text, std::string& out);
    // Appends a close_notify, or the alert that says what open() did not like.
    bool seal_alert(std::string& out);

    enum class Opened { data, nothing, incomplete, end, bad };
    // Opens the record at the beginning of `input`, and takes it away from there. `data`: `octets` of text
    // are in `out`. `incomplete`: the rest of the record has to come first. `end`: the peer said
    // close_notify. `bad`: reason() says why; nothing of the record is to be believed, and the connection has
    // to end.
    Opened open(std::string_view& input, std::span<char> out, std::size_t& octets);
    const char* reason() const { return reason_; }
    // The peer has asked for new keys on our side: seal_key_update() is due.
    bool owes_key_update() const { return owes_key_update_; }
    bool seal_key_update(std::string& out);

    // What only the two ends of this connection know (RFC 8446 §7.5), for that label and an empty context; at
    // most as long as the suite's hash. False: there is no exporter secret, or a fault in OpenSSL.
    bool export_secret(std::string_view label, std::span<unsigned char> out) const;

  private:
    struct Suite;
    struct Secret {
        std::array<unsigned char, 48> octets{};
        std::size_t size = 0;
        ~Secret();
        bool set(std::string_view hex);
        std::span<unsigned char> span() { return {octets.data(), size}; }
        std::span<const unsigned char> span() const { return {octets.data(), size}; }
    };
    struct Direction {
        Secret secret;
        std::array<unsigned char, 32> key{};
        std::array<unsigned char, 12> iv{};
        std::uint64_t records = 0;
        ~Direction();
        bool make_keys(const Suite& suite);
        bool update(const Suite& suite);  // RFC 8446 §7.2
        std::array<unsigned char, 12> nonce() const;
    };
    static const Suite* suite_of(std::uint16_t id);
    bool seal_one(std::uint8_t type, std::string_view text, std::string& out);
    bool decrypt(std::string_view header, std::string_view sealed, char* out);
    Opened take_alert(std::string_view text);
    Opened take_handshake(std::string_view text);
    Opened refuse(std::uint8_t alert, const char* reason);

    const Suite* suite_ = nullptr;
    Direction in_, out_;
    Secret exporter_;
    const char* reason_ = "no reason given";
    std::uint8_t alert_ = 0;  // close_notify
    std::uint8_t updates_in_a_row_ = 0;
    bool owes_key_update_ = false;
};

}  // namespace pier::net
