// Protocol words: ASCII letters compared without regard to case, and without the locale (which would fold
// Turkish dotless i, and octets above 127). Pure; any thread.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace pier::wire {

constexpr char ascii_upper(char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}
constexpr char ascii_lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string ascii_upper(std::string_view text) {
    std::string upper(text);
    std::ranges::transform(upper, upper.begin(), [](char c) { return ascii_upper(c); });
    return upper;
}

inline std::string ascii_lower(std::string_view text) {
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](char c) { return ascii_lower(c); });
    return lower;
}

constexpr bool ascii_equal(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) { return ascii_upper(x) == ascii_upper(y); });
}

constexpr bool ascii_starts_with(std::string_view text, std::string_view prefix) {
    return text.size() >= prefix.size() && ascii_equal(text.substr(0, prefix.size()), prefix);
}

}  // namespace pier::wire
