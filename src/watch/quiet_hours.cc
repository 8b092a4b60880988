#include "watch/quiet_hours.h"

#include <optional>

#include <fmt/format.h>

namespace pier::watch {
namespace {

constexpr std::size_t time_octets = 5, both_octets = 2 * time_octets + 1;

// "07:30"
std::optional<std::chrono::minutes> time_of_day(std::string_view text) {
    const auto digit = [&](std::size_t at) {
        return text[at] >= '0' && text[at] <= '9' ? text[at] - '0' : -1;
    };
    if (text.size() != time_octets || text[2] != ':') return {};
    for (const std::size_t at : {0U, 1U, 3U, 4U})
        if (digit(at) < 0) return {};
    const int hour = digit(0) * 10 + digit(1), minute = digit(3) * 10 + digit(4);
    if (hour > 23 || minute > 59) return {};
    return std::chrono::hours(hour) + std::chrono::minutes(minute);
}

}  // namespace

Result<QuietHours> parse_quiet_hours(std::string_view text) {
    const auto wrong = [&] {
        return Error(ErrorKind::invalid,
                     fmt::format("\"{}\" names no quiet hours; write two different times of the day, as in "
                                 "\"22:00-07:00\"",
                                 text.substr(0, both_octets * 2)));
    };
    if (text.size() != both_octets || text[time_octets] != '-') return wrong();
    const auto from = time_of_day(text.substr(0, time_octets));
    const auto to = time_of_day(text.substr(time_octets + 1));
    if (!from || !to || *from == *to) return wrong();
    return QuietHours{*from, *to};
}

}  // namespace pier::watch
