#include "base/time.h"

#include <charconv>
#include <ctime>

#include <fmt/format.h>

namespace pier {
namespace {

std::tm utc(Time time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
    const std::time_t t = static_cast<std::time_t>(seconds);
    std::tm parts{};
    gmtime_r(&t, &parts);
    return parts;
}

}  // namespace

Time system_now() {
    return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

Clock even_clock() {
    return [at = system_now(), began = std::chrono::steady_clock::now()] {
        return at + std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                                          began);
    };
}

std::string to_rfc3339(Time time) {
    const std::tm p = utc(time);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", p.tm_year + 1900, p.tm_mon + 1, p.tm_mday,
                       p.tm_hour, p.tm_min, p.tm_sec);
}

std::optional<Time> parse_day(std::string_view text) {
    if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
    const auto number = [&](std::size_t at, std::size_t count) {
        int value = -1;
        const auto [end, failed] = std::from_chars(text.data() + at, text.data() + at + count, value);
        return failed == std::errc() && end == text.data() + at + count ? value : -1;
    };
    const int year = number(0, 4), month = number(5, 2), day = number(8, 2);
    if (year < 1970 || month < 1 || day < 1) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) return std::nullopt;
    return Time(std::chrono::sys_days(date));
}

std::string to_rfc5322(Time time) {
    // Not strftime: the names must not follow the locale.
    static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::tm p = utc(time);
    return fmt::format("{}, {} {} {} {:02}:{:02}:{:02} +0000", days[p.tm_wday], p.tm_mday, months[p.tm_mon],
                       p.tm_year + 1900, p.tm_hour, p.tm_min, p.tm_sec);
}

}  // namespace pier
