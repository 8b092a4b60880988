// The languages of the replies' human-readable texts (RFC 6856 §3), and those texts. Pure; any thread.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace pier::pop3 {

enum class Language { english, german, spanish, french, chinese, japanese };
inline constexpr std::size_t languages_count = 6;

struct LanguageName {
    std::string_view tag;   // RFC 5646
    std::string_view name;  // in itself
};

// By Language.
std::span<const LanguageName> languages();

// By a language range, looked up as RFC 4647 §3.4 says: "de-AT" finds "de". "*" is the one that sessions
// begin with.
std::optional<Language> find_language(std::string_view range);

// A text in that language, by what it is in English; itself if it is not in the table (an administrator's own
// words). Every {} in it stands for something that is put in.
std::string_view translated(Language language, std::string_view english);

// The texts' table, for its tests: English first, then by Language.
using Text = std::array<std::string_view, languages_count>;
std::span<const Text> texts();

// A text with what is put in, in order.
template <class... Arguments>
std::string say(Language language, std::string_view english, const Arguments&... arguments) {
    return fmt::vformat(translated(language, english), fmt::make_format_args(arguments...));
}

}  // namespace pier::pop3
