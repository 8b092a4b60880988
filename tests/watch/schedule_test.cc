// Who is due when: spread over the interval, never twice at once, one second look behind a first doubt.
#include "watch/schedule.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

namespace pier::watch {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Instant = Schedule::Instant;

const Instant zero{hours(1000)};
constexpr Schedule::Outcome well{}, doubtful{.doubtful = true};

// Looks that take no time, until `end`; when each was looked at.
std::map<std::size_t, std::vector<Instant>> run(Schedule& schedule, Instant end) {
    std::map<std::size_t, std::vector<Instant>> looks;
    for (auto next = schedule.next(); next && *next < end; next = schedule.next()) {
        const auto look = schedule.begin(*next);
        EXPECT_TRUE(look);
        looks[look->who].push_back(*next);
        schedule.end(look->who, *next, well);
    }
    return looks;
}

TEST(Schedule, LooksAreSpreadOverTheIntervalAndKeepTheirPlaces) {
    Schedule schedule({});
    for (int i = 0; i < 4; ++i)
        schedule.add({seconds(60), {}});
    schedule.start(zero, 0.5);
    EXPECT_FALSE(schedule.begin(zero + seconds(60))) << "nobody in the first interval";
    const auto looks = run(schedule, zero + seconds(300));
    for (std::size_t who = 0; who < 4; ++who) {
        ASSERT_EQ(looks.at(who).size(), 4u) << who;
        for (int i = 0; i < 4; ++i)
            EXPECT_EQ(looks.at(who)[static_cast<std::size_t>(i)],
                      zero + seconds(60) * (i + 1) + milliseconds(7500 + 15'000 * static_cast<int>(who)));
    }
}

TEST(Schedule, JitterMovesAllOfThemAndNobodyOutOfTheInterval) {
    for (const double jitter : {0.0, 0.25, 1.0, 7.0, -1.0}) {
        Schedule schedule({});
        for (int i = 0; i < 10; ++i)
            schedule.add({seconds(10), {}});
        schedule.start(zero, jitter);
        const auto looks = run(schedule, zero + seconds(21));
        EXPECT_EQ(looks.size(), 10u) << jitter;
        for (const auto& [who, times] : looks)
            EXPECT_GE(times.front(), zero + seconds(10));
    }
}

TEST(Schedule, NobodyIsLookedAtTwiceAtOnce) {
    Schedule schedule({});
    schedule.add({seconds(10), {}});
    schedule.start(zero, 0);
    ASSERT_TRUE(schedule.begin(zero + seconds(10)));
    EXPECT_FALSE(schedule.next());
    EXPECT_FALSE(schedule.begin(zero + seconds(100)));
    schedule.end(0, zero + seconds(47), well);
    EXPECT_EQ(schedule.next(), zero + seconds(50)) << "what was missed is not made up for";
}

TEST(Schedule, ASecondLookFollowsAFirstDoubtAndNoThird) {
    Schedule schedule({.second_look = seconds(10)});
    schedule.add({seconds(30), {}});
    schedule.start(zero, 0);
    const Instant first = zero + seconds(30);
    ASSERT_TRUE(schedule.begin(first));
    schedule.end(0, first + seconds(2), doubtful);
    EXPECT_EQ(schedule.next(), first + seconds(10));
    ASSERT_TRUE(schedule.begin(first + seconds(10)));
    schedule.end(0, first + seconds(12), doubtful);
    EXPECT_EQ(schedule.next(), first + seconds(30)) << "an outage is looked at as often as all else";
    ASSERT_TRUE(schedule.begin(first + seconds(30)));
    schedule.end(0, first + seconds(31), well);
    EXPECT_EQ(schedule.next(), first + seconds(60));
    ASSERT_TRUE(schedule.begin(first + seconds(60)));
    schedule.end(0, first + seconds(60), doubtful);
    EXPECT_EQ(schedule.next(), first + seconds(70)) << "a new doubt";
}

TEST(Schedule, ASecondLookThatIsLateComesAtOnceAndNeverBehindTheNext) {
    Schedule schedule({.second_look = seconds(10)});
    schedule.add({seconds(30), {}});
    schedule.add({seconds(5), {}});
    schedule.start(zero, 0);
    const Instant first = zero + seconds(30);
    ASSERT_EQ(schedule.begin(zero + seconds(8))->who, 1u);
    schedule.end(1, zero + seconds(8), doubtful);
    EXPECT_EQ(schedule.due(1), zero + milliseconds(12'500)) << "the next usual one comes sooner";
    schedule.pause(1);
    ASSERT_EQ(schedule.begin(first)->who, 0u);
    schedule.end(0, first + seconds(15), doubtful);
    EXPECT_EQ(schedule.next(), first + seconds(15));
}

// An outage is known within a minute: 30 s until the next look, a look that takes 10 s to fail, and another.
TEST(Schedule, ASilentServerIsKnownWithinAMinute) {
    Schedule schedule({});
    schedule.add({});
    schedule.start(zero, 0.3);
    auto at = *schedule.next();
    ASSERT_TRUE(schedule.begin(at));
    schedule.end(0, at, well);
    const Instant outage = at + milliseconds(1);
    at = *schedule.next();
    ASSERT_TRUE(schedule.begin(at));
    schedule.end(0, at + seconds(10), doubtful);
    at = *schedule.next();
    ASSERT_TRUE(schedule.begin(at));
    EXPECT_LE(at + seconds(10), outage + seconds(60));
}

TEST(Schedule, ThoroughLooksComeFirstThenOnceADayAndSoonerWhileTheyFindSomething) {
    Schedule schedule({});
    schedule.add({hours(1), hours(24)});
    schedule.start(zero, 0);
    Instant at = *schedule.next();
    std::vector<bool> thorough;
    for (int i = 0; i < 30; ++i, at = *schedule.next()) {
        const auto look = schedule.begin(at);
        thorough.push_back(look->thorough);
        // The second thorough one finds something, the third no more.
        const auto before = std::count(thorough.begin(), thorough.end(), true);
        schedule.end(0, at, {.thorough_done = look->thorough, .thorough_bad = before == 2});
    }
    EXPECT_TRUE(thorough[0]);
    EXPECT_TRUE(thorough[24]);
    EXPECT_TRUE(thorough[25]) << "once an hour while something is wrong";
    EXPECT_EQ(std::count(thorough.begin(), thorough.end(), true), 3);
}

TEST(Schedule, AThoroughLookThatFailedIsMadeAgain) {
    Schedule schedule({.second_look = seconds(5)});
    schedule.add({seconds(60), hours(24)});
    schedule.start(zero, 0);
    const Instant first = *schedule.next();
    ASSERT_TRUE(schedule.begin(first)->thorough);
    schedule.end(0, first, doubtful);
    EXPECT_FALSE(schedule.begin(first + seconds(5))->thorough) << "a second look is a short one";
    schedule.end(0, first + seconds(5), well);
    EXPECT_TRUE(schedule.begin(*schedule.next())->thorough);
}

TEST(Schedule, NoneIsThoroughIfNoneIsWanted) {
    Schedule schedule({});
    schedule.add({seconds(60), {}});
    schedule.start(zero, 0);
    EXPECT_FALSE(schedule.begin(*schedule.next())->thorough);
}

TEST(Schedule, TheSlowHaveOnlySomeOfTheWorkers) {
    Schedule schedule({.slow_from = seconds(5), .slow_at_once_max = 2});
    for (int i = 0; i < 4; ++i)
        schedule.add({seconds(60), {}});
    schedule.start(zero, 0);
    const Instant first = zero + seconds(120);
    for (std::size_t who = 0; who < 4; ++who)
        ASSERT_EQ(schedule.begin(first)->who, who) << "the longest overdue first";
    for (std::size_t who = 0; who < 3; ++who)
        schedule.end(who, first + seconds(5), well);
    schedule.end(3, first + milliseconds(4999), well);
    const Instant second = first + seconds(120);
    EXPECT_EQ(schedule.begin(second)->who, 1u);
    EXPECT_EQ(schedule.begin(second)->who, 2u);
    EXPECT_EQ(schedule.begin(second)->who, 3u) << "0 was slow, and two of the slow are under way";
    EXPECT_FALSE(schedule.begin(second));
    EXPECT_FALSE(schedule.next());
    schedule.end(1, second + seconds(1), well);
    EXPECT_EQ(schedule.begin(second + seconds(1))->who, 0u);
    schedule.end(2, second + seconds(9), well);
    schedule.end(0, second + seconds(2), well);
    schedule.end(3, second + seconds(2), well);
    EXPECT_TRUE(schedule.next());
}

TEST(Schedule, AfterASleepEachIsLookedAtOnceAndKeepsItsPlace) {
    Schedule schedule({});
    for (int i = 0; i < 3; ++i)
        schedule.add({seconds(30), {}});
    schedule.start(zero, 0);
    const Instant awake = zero + hours(9);
    for (std::size_t i = 0; i < 3; ++i) {
        const auto look = schedule.begin(awake);
        ASSERT_TRUE(look);
        schedule.end(look->who, awake, well);
    }
    EXPECT_FALSE(schedule.begin(awake));
    const auto looks = run(schedule, awake + seconds(31));
    for (std::size_t who = 0; who < 3; ++who)
        EXPECT_EQ((looks.at(who).front() - zero) % seconds(30), seconds(10) * static_cast<int>(who));
}

TEST(Schedule, WhoIsPausedIsNotLookedAtAndAfterwardsInItsPlace) {
    Schedule schedule({});
    schedule.add({seconds(30), {}});
    schedule.start(zero, 0);
    const Instant first = *schedule.next();
    ASSERT_TRUE(schedule.begin(first));
    schedule.pause(0);
    schedule.break_off(0, first + seconds(1));
    EXPECT_FALSE(schedule.next());
    EXPECT_FALSE(schedule.begin(first + hours(1)));
    schedule.resume(0, first + seconds(95));
    EXPECT_EQ(schedule.next(), first + seconds(120));
}

}  // namespace
}  // namespace pier::watch
