#include "auth/totp.h"

#include <array>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "wire/scram.h"

namespace pier::auth {
namespace {

constexpr std::int64_t step_s = 30;
constexpr std::uint32_t codes = 1'000'000;
constexpr std::size_t digits = 6;

std::int64_t step_of(Time when) {
    return std::chrono::floor<std::chrono::seconds>(when).time_since_epoch().count() / step_s;
}

// RFC 4226 §5.3.
std::string code_of(std::string_view secret, std::int64_t step) {
    std::string counter(8, '\0');
    for (std::size_t i = 0; i < counter.size(); ++i)
        counter[i] = static_cast<char>(static_cast<std::uint64_t>(step) >> (56 - 8 * i));
    const std::string mac = wire::hmac(wire::ScramHash::sha1, secret, counter);
    const std::size_t offset = static_cast<unsigned char>(mac.back()) & 0xF;
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < 4; ++i)
        number = number << 8 | static_cast<unsigned char>(mac[offset + i]);
    return fmt::format("{:06}", (number & 0x7FFFFFFF) % codes);
}

// What a URI takes as it is (RFC 3986 §2.3); everything else in percent.
std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '-' || c == '.' || c == '_' || c == '~';
        if (plain)
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace

std::string totp_code(std::string_view secret, Time when) {
    return code_of(secret, step_of(when));
}

bool totp_matches(std::string_view secret, std::string_view typed, Time now) {
    std::string code;
    for (const char c : typed)
        if (c != ' ') code += c;
    if (code.size() != digits) return false;
    bool matches = false;
    for (std::int64_t around = -1; around <= 1; ++around) {
        const std::string right = code_of(secret, step_of(now) + around);
        matches = (CRYPTO_memcmp(right.data(), code.data(), digits) == 0) || matches;
    }
    return matches;
}

std::string totp_secret_text(std::string_view secret) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    std::string text;
    std::uint32_t held = 0;
    unsigned bits = 0;
    for (const char c : secret) {
        held = held << 8 | static_cast<unsigned char>(c);
        for (bits += 8; bits >= 5; bits -= 5)
            text += alphabet[held >> (bits - 5) & 31];
    }
    if (bits > 0) text += alphabet[held << (5 - bits) & 31];
    return text;
}

std::string totp_uri(std::string_view account, std::string_view secret) {
    return fmt::format("otpauth://totp/Pier:{}?secret={}&issuer=Pier", percent_encoded(account),
                       totp_secret_text(secret));
}

}  // namespace pier::auth
