#include "wire/base64.h"

#include <array>
#include <cstdint>

#include <openssl/evp.h>

namespace pier::wire {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> make_values() {
    std::array<std::int8_t, 256> values{};
    values.fill(-1);
    for (std::size_t i = 0; i < alphabet.size(); ++i) {
        values[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
    }
    return values;
}
constexpr std::array<std::int8_t, 256> values = make_values();

}  // namespace

std::string base64_encode(std::string_view octets) {
    const std::size_t length = (octets.size() + 2) / 3 * 4;
    std::string text(length + 1, '\0');  // EVP_EncodeBlock writes a NUL behind the text
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                    reinterpret_cast<const unsigned char*>(octets.data()), static_cast<int>(octets.size()));
    text.resize(length);
    return text;
}

// Not EVP_DecodeBlock: it skips white space, takes misplaced padding and gives the padding back as zero
// octets.
std::optional<std::string> base64_decode(std::string_view text, std::size_t octets_max) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
        ++padding;
    const std::size_t length = text.size() / 4 * 3 - padding;
    if (length > octets_max) return std::nullopt;

    std::string octets;
    octets.reserve(length);
    std::uint32_t bits = 0;
    unsigned bit_count = 0;
    for (const char c : text.substr(0, text.size() - padding)) {
        const std::int8_t value = values[static_cast<unsigned char>(c)];
        if (value < 0) return std::nullopt;
        bits = bits << 6 | static_cast<std::uint32_t>(value);
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            octets.push_back(static_cast<char>(bits >> bit_count & 0xff));
        }
    }
    if ((bits & ((1u << bit_count) - 1)) != 0) return std::nullopt;
    return octets;
}

std::optional<std::string> base64url_decode(std::string_view text, std::size_t octets_max) {
    if (text.size() / 4 > octets_max || text.size() % 4 == 1) return std::nullopt;
    std::string other(text);
    for (char& c : other) {
        if (c == '+' || c == '/' || c == '=') return std::nullopt;
        if (c == '-') c = '+';
        if (c == '_') c = '/';
    }
    other.append((4 - text.size() % 4) % 4, '=');
    return base64_decode(other, octets_max);
}

}  // namespace pier::wire
