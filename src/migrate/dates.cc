#include "migrate/dates.h"

#include <array>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include "wire/ascii.h"

namespace pier::migrate {
namespace {

std::optional<int> number(std::string_view digits, std::size_t digits_min, std::size_t digits_max) {
    int value = 0;
    const char* end = digits.data() + digits.size();
    if (digits.size() < digits_min || digits.size() > digits_max || digits.front() < '0' ||
        digits.front() > '9')
        return std::nullopt;
    if (const auto [stop, error] = std::from_chars(digits.data(), end, value);
        error != std::errc() || stop != end)
        return std::nullopt;
    return value;
}

std::optional<unsigned> month(std::string_view word) {
    static constexpr std::string_view names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    for (unsigned i = 0; i < 12; ++i) {
        if (wire::ascii_equal(word, names[i])) return i + 1;
    }
    return std::nullopt;
}

std::optional<std::chrono::seconds> time_of_day(std::string_view word) {  // "01:05" or "1:05:34"
    const auto colon = word.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto hour = number(word.substr(0, colon), 1, 2);
    const auto minute = number(word.substr(colon + 1, 2), 2, 2);
    std::optional<int> second = 0;
    if (word.size() > colon + 3)
        second = word[colon + 3] == ':' ? number(word.substr(colon + 4), 2, 2) : std::nullopt;
    if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
    return std::chrono::hours(*hour) + std::chrono::minutes(*minute) + std::chrono::seconds(*second);
}

std::optional<int> year(std::string_view word) {
    if (const auto four = number(word, 4, 4)) return four;
    const auto two = number(word, 2, 2);  // RFC 5322 §4.3
    if (!two) return std::nullopt;
    return *two + (*two < 50 ? 2000 : 1900);
}

// "+0100", "-0800", and the names of RFC 5322 §4.3; absent for any other word.
std::optional<std::chrono::minutes> zone(std::string_view word) {
    static constexpr std::array<std::pair<std::string_view, int>, 11> names = {{{"UT", 0},
                                                                                {"UTC", 0},
                                                                                {"GMT", 0},
                                                                                {"EST", -5},
                                                                                {"EDT", -4},
                                                                                {"CST", -6},
                                                                                {"CDT", -5},
                                                                                {"MST", -7},
                                                                                {"MDT", -6},
                                                                                {"PST", -8},
                                                                                {"PDT", -7}}};
    for (const auto& [name, hours] : names) {
        if (wire::ascii_equal(word, name)) return std::chrono::hours(hours);
    }
    if (word.size() != 5 || (word[0] != '+' && word[0] != '-')) return std::nullopt;
    const auto hours = number(word.substr(1, 2), 2, 2), minutes = number(word.substr(3), 2, 2);
    if (!hours || !minutes || *minutes > 59) return std::nullopt;
    const auto offset = std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
    return word[0] == '+' ? offset : -offset;
}

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    for (;;) {
        const auto begin = text.find_first_not_of(" \t\r\n,()");
        if (begin == std::string_view::npos) return words;
        text.remove_prefix(begin);
        words.push_back(text.substr(0, text.find_first_of(" \t\r\n,()")));
        text.remove_prefix(words.back().size());
    }
}

// The date around words[at], which is a time of day.
std::optional<Time> date_around(const std::vector<std::string_view>& words, std::size_t at,
                                std::chrono::seconds time) {
    const auto word = [&](std::size_t i) { return i < words.size() ? words[i] : std::string_view(); };
    std::optional<unsigned> m;
    std::optional<int> d, y;
    std::chrono::minutes offset{0};
    if (at >= 2) m = month(words[at - 2]);
    if (at >= 3 && number(words[at - 3], 1, 2) && year(words[at - 1])) {  // 3 Jan 1996 01:05:34 +0100
        d = number(words[at - 3], 1, 2);
        y = year(words[at - 1]);
        offset = zone(word(at + 1)).value_or(offset);
    } else if (m) {  // Jan 3 01:05:34 [MET [DST]] 1996 [+0100]
        d = number(words[at - 1], 1, 2);
        for (std::size_t i = at + 1; i <= at + 4; ++i) {
            if (!y && number(word(i), 4, 4)) y = number(word(i), 4, 4);
            if (const auto known = zone(word(i))) offset = *known;
        }
    }
    if (!m || !d || !y || *y < 1970) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(*y), std::chrono::month(*m),
                                           std::chrono::day(static_cast<unsigned>(*d))};
    if (!date.ok()) return std::nullopt;
    const Time result = std::chrono::sys_days(date) + time - offset;
    if (result.time_since_epoch().count() < 0) return std::nullopt;
    return result;
}

// The first field of that name, unfolded or not: from behind its colon to the next field.
std::optional<std::string_view> field(std::string_view head, std::string_view name) {
    while (!head.empty() && head.front() != '\n' && !head.starts_with("\r\n")) {
        std::size_t end = 0;  // of the field with its continuation lines
        do {
            const auto lf = head.find('\n', end);
            end = lf == std::string_view::npos ? head.size() : lf + 1;
        } while (end < head.size() && (head[end] == ' ' || head[end] == '\t'));
        const std::string_view whole = head.substr(0, end);
        if (whole.size() > name.size() && whole[name.size()] == ':' && wire::ascii_starts_with(whole, name))
            return whole.substr(name.size() + 1);
        head.remove_prefix(end);
    }
    return std::nullopt;
}

}  // namespace

std::optional<Time> find_date(std::string_view text) {
    const std::vector<std::string_view> words = words_of(text);
    for (std::size_t i = 0; i < words.size(); ++i) {
        const auto time = time_of_day(words[i]);
        if (!time) continue;
        if (const auto date = date_around(words, i, *time)) return date;
    }
    return std::nullopt;
}

std::optional<FromLine> parse_from_line(std::string_view line) {
    if (!line.starts_with("From ")) return std::nullopt;
    line.remove_prefix(5);
    const std::vector<std::string_view> words = words_of(line);
    if (words.empty() || (words.size() == 1 && words[0] == "-")) return FromLine{};
    if (const auto date = find_date(line)) return FromLine{date};
    return std::nullopt;
}

std::optional<Time> date_of_header(std::string_view head) {
    if (const auto received = field(head, "Received")) {
        const auto semicolon = received->rfind(';');
        if (semicolon != std::string_view::npos) {
            if (const auto date = find_date(received->substr(semicolon + 1))) return date;
        }
    }
    const auto date = field(head, "Date");
    return date ? find_date(*date) : std::nullopt;
}

}  // namespace pier::migrate
