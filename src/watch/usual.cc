#include "watch/usual.h"

#include <algorithm>

namespace pier::watch {

std::optional<double> usual_of(const std::vector<Point>& points, const UsualRule& rule) {
    if (rule.factor <= 0 || points.size() < std::max<std::size_t>(rule.points_min, 1)) return std::nullopt;
    std::vector<double> means;
    means.reserve(points.size());
    for (const Point& point : points)
        means.push_back(point.mean);
    const auto middle = means.begin() + static_cast<std::ptrdiff_t>(means.size() / 2);
    std::nth_element(means.begin(), middle, means.end());
    return *middle;
}

double unusual_from(double usual, const UsualRule& rule) {
    return std::max(usual * rule.factor, usual + rule.more_s);
}

}  // namespace pier::watch
