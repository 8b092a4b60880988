// Measurements as a table and a curve.
#include "main/history_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pier::program {
namespace {

using testing::HasSubstr;

const Time from = Time(std::chrono::hours(24 * 20'000));
const Time to = from + std::chrono::minutes(8);

ShownSeries series(const std::string& name, const std::vector<std::pair<int, double>>& values) {
    ShownSeries one{name, {}};
    for (const auto& [minute, value] : values) {
        watch::Point point;
        point.at = from + std::chrono::minutes(minute);
        point.step = std::chrono::minutes(1);
        point.count = 1;
        point.min = point.max = point.mean = point.last = value;
        one.points.push_back(point);
    }
    return one;
}

TEST(HistoryText, NamesAreOfAThingAndAFigure) {
    const ShownSeries probe = series("probe.mail.example.org:995.total_s", {});
    EXPECT_EQ(probe.thing(), "mail.example.org:995");
    EXPECT_EQ(probe.figure(), "total_s");
    EXPECT_EQ(series("server.sessions", {}).thing(), "server");
    EXPECT_EQ(series("server.sessions", {}).figure(), "sessions");
}

TEST(HistoryText, WithoutATargetTheMostTellingFigures) {
    const ShownSeries total = series("probe.a.example:995.total_s", {}),
                      phase = series("probe.a.example:995.tls_s", {}), own = series("server.queue", {});
    EXPECT_TRUE(is_wanted(total, {}));
    EXPECT_FALSE(is_wanted(phase, {}));
    EXPECT_TRUE(is_wanted(own, {}));
    EXPECT_TRUE(is_wanted(phase, {"a.example:995"}));
    EXPECT_TRUE(is_wanted(phase, {"a.example"}));
    EXPECT_FALSE(is_wanted(phase, {"a.example:110"}));
    EXPECT_FALSE(is_wanted(phase, {"a.exampl"}));
    EXPECT_TRUE(is_wanted(own, {"server"}));
}

TEST(HistoryText, TheCurveBeginsAtZeroAndHasGaps) {
    const auto one = series("probe.a:1.total_s", {{0, 0}, {1, 0.5}, {2, 1}, {4, 1}, {9, 5}});
    EXPECT_EQ(curve(one, from, to, 8), "▁▅█ █   ");
    EXPECT_EQ(curve(one, from, to, 2), "██") << "the largest of each part";
    EXPECT_EQ(curve(series("server.queue", {{0, 0}, {1, 0}}), from, to, 8), "▁▁      ");
}

TEST(HistoryText, AnOutageIsSeenInTheCurveOfUp) {
    const auto up = series("probe.a:1.up", {{0, 1}, {1, 1}, {2, 0}, {3, 1}});
    EXPECT_EQ(curve(up, from, to, 4), "█▁  ");
}

TEST(HistoryText, ValuesHaveUnits) {
    const std::string text = history_text(
        {series("probe.a:1.total_s", {{0, 0.0412}, {1, 12.3}}), series("probe.a:1.up", {{0, 1}, {1, 0}}),
         series("probe.a:1.certificate_days", {{0, 61}}),
         series("server.disk_free_octets", {{0, 3 * 1024.0 * 1024}}), series("server.sessions", {{0, 17}}),
         series("server.empty", {})},
        from, to);
    for (const char* part : {"41.2 ms", "12.3 s", "50 %", "61 days", "3.0 MiB", "17", "LAST 8m"})
        EXPECT_THAT(text, HasSubstr(part));
    EXPECT_EQ(text.find("empty"), std::string::npos);
    EXPECT_EQ(history_text({}, from, to), "nothing was measured in that time\n");
}

}  // namespace
}  // namespace pier::program
