#include "main/quantity.h"

#include <array>
#include <charconv>
#include <optional>
#include <span>

#include <boost/algorithm/string/predicate.hpp>
#include <fmt/format.h>

namespace pier::program {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::uint64_t power(std::uint64_t base, int exponent) {
    return exponent == 0 ? 1 : base * power(base, exponent - 1);
}

// liberal: K, M, G and T alone mean powers of 1,024, as most configuration files have it.
constexpr std::array size_units{
    Unit{"B", 1},
    Unit{"octets", 1},
    Unit{"bytes", 1},
    Unit{"KiB", power(1024, 1)},
    Unit{"K", power(1024, 1)},
    Unit{"kB", power(1000, 1)},
    Unit{"MiB", power(1024, 2)},
    Unit{"M", power(1024, 2)},
    Unit{"MB", power(1000, 2)},
    Unit{"GiB", power(1024, 3)},
    Unit{"G", power(1024, 3)},
    Unit{"GB", power(1000, 3)},
    Unit{"TiB", power(1024, 4)},
    Unit{"T", power(1024, 4)},
    Unit{"TB", power(1000, 4)},
};

constexpr std::array time_units{
    Unit{"s", 1},
    Unit{"sec", 1},
    Unit{"second", 1},
    Unit{"seconds", 1},
    Unit{"m", 60},
    Unit{"min", 60},
    Unit{"minute", 60},
    Unit{"minutes", 60},
    Unit{"h", 3600},
    Unit{"hour", 3600},
    Unit{"hours", 3600},
    Unit{"d", 86400},
    Unit{"day", 86400},
    Unit{"days", 86400},
    Unit{"w", 7 * 86400},
    Unit{"week", 7 * 86400},
    Unit{"weeks", 7 * 86400},
};

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

void skip_spaces(std::string_view& text) {
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
}

// Takes "<digits> <unit>" from the front of `text`; nullopt if that is not what stands there, or it does not
// fit 64 bits.
std::optional<std::uint64_t> take_quantity(std::string_view& text, std::span<const Unit> units) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    skip_spaces(text);
    std::size_t letters = 0;
    while (letters < text.size() && is_letter(text[letters]))
        ++letters;
    const std::string_view name = text.substr(0, letters);
    text.remove_prefix(letters);
    skip_spaces(text);
    if (name.empty()) return text.empty() ? std::optional(number) : std::nullopt;
    for (const Unit& unit : units) {
        if (!boost::algorithm::iequals(name, unit.name)) continue;
        std::uint64_t product = 0;
        if (__builtin_mul_overflow(number, unit.factor, &product)) return std::nullopt;
        return product;
    }
    return std::nullopt;
}

}  // namespace

Result<std::uint64_t> parse_octets(std::string_view text) {
    std::string_view rest = text;
    skip_spaces(rest);
    const auto octets = take_quantity(rest, size_units);
    if (octets && rest.empty()) return *octets;
    return Error(ErrorKind::invalid, fmt::format("\"{}\" is not a size; write a number and a unit, as in "
                                                 "\"64 MiB\"",
                                                 text));
}

Result<std::uint64_t> parse_duration(std::string_view text) {
    std::string_view rest = text;
    skip_spaces(rest);
    std::uint64_t sum = 0;
    bool fits = !rest.empty();
    while (fits && !rest.empty()) {
        const auto part = take_quantity(rest, time_units);
        fits = part && !__builtin_add_overflow(sum, *part, &sum);
    }
    if (fits) return sum;
    return Error(
        ErrorKind::invalid,
        fmt::format("\"{}\" is not a duration; write a number and a unit (s, m, h, d, w), as in \"10m\"",
                    text));
}

std::string format_octets(std::uint64_t octets) {
    constexpr std::array names{"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    while (octets != 0 && octets % 1024 == 0 && unit + 1 < names.size()) {
        octets /= 1024;
        ++unit;
    }
    return fmt::format("{} {}", octets, names[unit]);
}

std::string format_duration(std::uint64_t seconds) {
    if (seconds == 0) return "0s";
    constexpr std::array units{Unit{"d", 86400}, Unit{"h", 3600}, Unit{"m", 60}, Unit{"s", 1}};
    std::string text;
    for (const Unit& unit : units) {
        if (seconds >= unit.factor) text += fmt::format("{}{}", seconds / unit.factor, unit.name);
        seconds %= unit.factor;
    }
    return text;
}

std::string about_octets(std::uint64_t octets) {
    constexpr std::array names{"B", "KiB", "MiB", "GiB", "TiB"};
    if (octets < 1024) return fmt::format("{} B", octets);
    double number = static_cast<double>(octets);
    std::size_t unit = 0;
    while (number >= 1024 && unit + 1 < names.size()) {
        number /= 1024;
        ++unit;
    }
    return fmt::format("{:.1f} {}", number, names[unit]);
}

}  // namespace pier::program
