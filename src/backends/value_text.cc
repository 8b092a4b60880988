#include "backends/value_text.h"

#include <array>
#include <charconv>

#include "wire/ascii.h"

namespace pier::backends {
namespace {

constexpr std::array<std::string_view, 6> yes{"t", "true", "yes", "y", "on", "1"};
constexpr std::array<std::string_view, 7> no{"f", "false", "no", "n", "off", "0", ""};

}  // namespace

std::optional<bool> parse_truth(std::string_view text) {
    for (const std::string_view word : yes)
        if (wire::ascii_equal(text, word)) return true;
    for (const std::string_view word : no)
        if (wire::ascii_equal(text, word)) return false;
    return std::nullopt;
}

std::optional<std::uint64_t> parse_octet_count(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

}  // namespace pier::backends
