#include "auth/totp.h"

#include <boost/endian/conversion.hpp>
#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <fmt/format.h>
#include <sodium.h>

#include "wire/scram.h"

namespace pier::auth {
namespace {

constexpr std::int64_t step_seconds = 30;
constexpr std::size_t digits = 6;
constexpr std::uint32_t codes = 1'000'000;

}  // namespace

std::uint64_t totp_step(Time now) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
    return seconds < 0 ? 0 : static_cast<std::uint64_t>(seconds / step_seconds);
}

std::string totp_code(std::string_view secret, std::uint64_t step) {
    const std::uint64_t counter = boost::endian::native_to_big(step);
    std::string mac =
        wire::hmac(wire::ScramHash::sha1, secret, {reinterpret_cast<const char*>(&counter), sizeof counter});
    // RFC 4226 §5.3: the last four bits say where the 31 bits stand.
    const auto* at = reinterpret_cast<const unsigned char*>(mac.data()) + (mac.back() & 0x0F);
    const std::uint32_t number = boost::endian::load_big_u32(at) & 0x7FFF'FFFF;
    sodium_memzero(mac.data(), mac.size());
    return fmt::format("{:06}", number % codes);
}

std::optional<std::uint64_t> totp_accepts(std::string_view secret, std::string_view typed, Time now,
                                          std::uint64_t last_step) {
    std::string code;
    for (const char c : typed) {
        if (c == ' ') continue;
        if (c < '0' || c > '9' || code.size() == digits) return std::nullopt;
        code += c;
    }
    if (code.size() != digits) return std::nullopt;
    const std::uint64_t present = totp_step(now);
    std::optional<std::uint64_t> found;
    for (const std::uint64_t step : {present + 1, present, present - 1})
        if (sodium_memcmp(totp_code(secret, step).data(), code.data(), digits) == 0) found = step;
    if (found && *found <= last_step) return std::nullopt;
    return found;
}

std::string totp_secret_text(std::string_view secret) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    std::string text;
    std::uint32_t bits = 0;
    int held = 0;
    for (const char c : secret) {
        bits = bits << 8 | static_cast<unsigned char>(c);
        for (held += 8; held >= 5; held -= 5)
            text += alphabet[bits >> (held - 5) & 0x1F];
    }
    if (held > 0) text += alphabet[bits << (5 - held) & 0x1F];
    return text;
}

std::string totp_uri(std::string_view account, std::string_view secret) {
    return fmt::format("otpauth://totp/Pier:{}?secret={}&issuer=Pier",
                       boost::urls::encode(account, boost::urls::unreserved_chars), totp_secret_text(secret));
}

}  // namespace pier::auth
