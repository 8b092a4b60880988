// Hours of the day in which only what is critical is told, as "22:00-07:00". Which time of the day it is
// where the administrator lives, the caller knows. Pure; any thread.
#pragma once

#include <chrono>
#include <string_view>

#include "base/result.h"

namespace pier::watch {

struct QuietHours {
    std::chrono::minutes from{}, to{};  // since midnight; `to` is outside; over midnight if it is not more

    bool contains(std::chrono::minutes of_day) const {
        return from < to ? of_day >= from && of_day < to : of_day >= from || of_day < to;
    }
};

// `invalid` says how it is written. Both ends alike: also invalid, for that could be never or always.
Result<QuietHours> parse_quiet_hours(std::string_view text);

}  // namespace pier::watch
