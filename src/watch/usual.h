// Whether a time is above what is usual: more than some times the median of the last day, and more than a
// quarter of a second above it, so that a server that answers in 3 ms may also take 30. The last quarter of
// an hour does not belong to the usual: it may be the trouble itself. Pure; any thread.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "watch/rings.h"

namespace pier::watch {

struct UsualRule {
    double factor = 3;            // 0: nothing is ever unusual
    double more_s = 0.25;         // and so much above it
    std::size_t points_min = 24;  // of five minutes: with less than two hours nothing is known to be usual
    unsigned looks = 3;           // in a row
};
inline constexpr std::chrono::hours usual_reaches_back{24};
inline constexpr std::chrono::minutes usual_leaves_out{15};

// The median of the points' means; absent: there are too few.
std::optional<double> usual_of(const std::vector<Point>& points, const UsualRule& rule);
// From which time on it is unusual.
double unusual_from(double usual, const UsualRule& rule);

}  // namespace pier::watch
