#include "smtp/dsn.h"

#include <algorithm>

#include "base/utf8.h"
#include "wire/ascii.h"

namespace pier::smtp {
namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_8bit(char c) {
    return static_cast<unsigned char>(c) >= 0x80;
}

enum class Above { ascii, utf8 };

// `printable`: what an encoded octet means must be printable ASCII too.
bool is_xtext(std::string_view text, Above above, bool printable) {
    if (text.empty()) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (is_8bit(c) && above == Above::utf8) continue;
        if (c < '!' || c > '~' || c == '=') return false;
        if (c != '+') continue;
        if (i + 2 >= text.size()) return false;
        const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
        if (high < 0 || low < 0) return false;
        const int octet = high * 16 + low;
        if (printable && (octet < ' ' || octet > '~')) return false;
        i += 2;
    }
    return true;
}

bool is_atom(std::string_view text) {  // RFC 3461 §4.2: addr-type is an atom
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return c > ' ' && c < 0x7f && std::string_view("()<>@,;:\\\".[]").find(c) == std::string_view::npos;
    });
}

}  // namespace

bool is_xtext(std::string_view text) {
    return is_xtext(text, Above::ascii, false);
}

std::optional<Return> parse_return(std::string_view value) {
    if (wire::ascii_equal(value, "FULL")) return Return::full;
    if (wire::ascii_equal(value, "HDRS")) return Return::headers;
    return std::nullopt;
}

std::optional<std::uint8_t> parse_notify(std::string_view value) {
    if (wire::ascii_equal(value, "NEVER")) return notify::never;
    unsigned bits = 0;
    for (;;) {
        const auto comma = value.find(',');
        const std::string_view word = value.substr(0, comma);
        if (wire::ascii_equal(word, "SUCCESS"))
            bits |= notify::success;
        else if (wire::ascii_equal(word, "FAILURE"))
            bits |= notify::failure;
        else if (wire::ascii_equal(word, "DELAY"))
            bits |= notify::delay;
        else
            return std::nullopt;
        if (comma == std::string_view::npos) return static_cast<std::uint8_t>(bits);
        value.remove_prefix(comma + 1);
    }
}

bool is_envelope_id(std::string_view value) {
    return value.size() <= envelope_id_octets_max && is_xtext(value, Above::ascii, true);
}

bool is_original_recipient(std::string_view value, bool utf8) {
    const auto semicolon = value.find(';');
    if (semicolon == std::string_view::npos || value.size() > original_recipient_octets_max) return false;
    const std::string_view type = value.substr(0, semicolon), address = value.substr(semicolon + 1);
    const bool as_it_is = utf8 && wire::ascii_equal(type, "utf-8") && is_utf8(address);
    return is_atom(type) && is_xtext(address, as_it_is ? Above::utf8 : Above::ascii, true);
}

}  // namespace pier::smtp
