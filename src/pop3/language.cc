#include "pop3/language.h"

#include <algorithm>

#include "wire/ascii.h"

namespace pier::pop3 {

namespace {

constexpr std::array<LanguageName, languages_count> names{{
    {"en", "English"},
    {"de", "Deutsch"},
    {"es", "Español"},
    {"fr", "Français"},
    {"zh", "中文"},
    {"ja", "日本語"},
}};

}  // namespace

std::span<const LanguageName> languages() {
    return names;
}

std::optional<Language> find_language(std::string_view range) {
    if (range == "*" || wire::ascii_equal(range, "i-default")) return Language::english;
    for (;;) {
        const auto found = std::ranges::find_if(
            names, [&](const LanguageName& name) { return wire::ascii_equal(name.tag, range); });
        if (found != names.end()) return static_cast<Language>(found - names.begin());
        const std::size_t end = range.rfind('-');
        if (end == std::string_view::npos) return std::nullopt;
        range = range.substr(0, end);
    }
}

std::string_view translated(Language language, std::string_view english) {
    if (language == Language::english) return english;
    const auto table = texts();
    const auto found = std::ranges::lower_bound(table, english, {}, [](const Text& text) { return text[0]; });
    if (found == table.end() || (*found)[0] != english) return english;
    return (*found)[static_cast<std::size_t>(language)];
}

}  // namespace pier::pop3
