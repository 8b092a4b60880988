// Points in time. Durable and protocol code uses Time (UTC, microseconds); tests pass their own Clock.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace pier {

using Time = std::chrono::sys_time<std::chrono::microseconds>;

// Asked for "now" by whoever needs it; a test's clock stands still or jumps.
using Clock = std::function<Time()>;

Time system_now();

// A clock that shows the system's time now and then goes on evenly, whatever that one is set to later.
Clock even_clock();

// "2026-11-21T20:38:26Z", in UTC; for logs and --json.
std::string to_rfc3339(Time time);

// "2026-11-21": the first moment of that day, in UTC, from 1970 on; absent if it is anything else.
std::optional<Time> parse_day(std::string_view text);

// "Sat, 21 Nov 2026 20:38:26 +0000", in UTC (RFC 5322 §3.3); for Received: and Date: fields.
std::string to_rfc5322(Time time);

}  // namespace pier
