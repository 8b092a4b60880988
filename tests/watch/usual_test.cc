// When a server is slower than usual.
#include "watch/usual.h"

#include <gtest/gtest.h>

namespace pier::watch {
namespace {

std::vector<Point> points(const std::vector<double>& means) {
    std::vector<Point> all;
    for (const double mean : means) {
        Point point;
        point.count = 10;
        point.mean = mean;
        all.push_back(point);
    }
    return all;
}

TEST(Usual, IsTheMedianOfTheDay) {
    const UsualRule rule{.points_min = 3};
    EXPECT_EQ(usual_of(points({0.3, 0.1, 0.2}), rule), 0.2);
    // One bad hour changes nothing.
    std::vector<double> day(288, 0.05);
    std::fill_n(day.begin(), 12, 30);
    EXPECT_EQ(usual_of(points(day), rule), 0.05);
}

TEST(Usual, IsNotKnownFromLessThanTwoHours) {
    const UsualRule rule;
    EXPECT_FALSE(usual_of({}, rule));
    EXPECT_FALSE(usual_of(points(std::vector<double>(23, 0.1)), rule));
    EXPECT_TRUE(usual_of(points(std::vector<double>(24, 0.1)), rule));
    EXPECT_FALSE(usual_of(points(std::vector<double>(288, 0.1)), UsualRule{.factor = 0}));
}

TEST(Usual, TheFactorHoldsForTheSlowAndTheFloorForTheQuick) {
    const UsualRule rule{.factor = 3, .more_s = 0.25};
    EXPECT_DOUBLE_EQ(unusual_from(0.003, rule), 0.253);
    EXPECT_DOUBLE_EQ(unusual_from(0.125, rule), 0.375);
    EXPECT_DOUBLE_EQ(unusual_from(1, rule), 3);
}

}  // namespace
}  // namespace pier::watch
