// When what is tried: the clock is a number.
#include "queue/schedule.h"

#include <gtest/gtest.h>

namespace pier::queue {
namespace {

using namespace std::chrono_literals;

constexpr Time start{std::chrono::sys_days(std::chrono::year(2026) / 11 / 29)};

class ScheduleTest : public testing::Test {
  protected:
    void make() {
        schedule = std::make_unique<Schedule>(settings, [] { return 0.5; });
    }
    void add(std::uint64_t message, const std::string& destination = "a.example", std::uint32_t source = 1,
             std::chrono::seconds in = 0s) {
        schedule->add({message, 0}, destination, source, now + in, now);
    }
    std::string lane() { return schedule->take_lane(now).value_or(""); }
    // The message that a lane gets; 0: none.
    std::uint64_t part(const std::string& destination = "a.example") {
        const auto key = schedule->take_part(destination, now);
        schedule->lane_asks(destination, now);
        return key ? key->message : 0;
    }

    ScheduleSettings settings;
    std::unique_ptr<Schedule> schedule;
    Time now = start;
};

TEST_F(ScheduleTest, DelaysDoubleUpToTheLongest) {
    const auto delay = [&](std::uint32_t failures, double chance = 0.5) {
        return retry_delay(settings, failures, chance).count();
    };
    EXPECT_EQ(delay(1), 60);
    EXPECT_EQ(delay(2), 120);
    EXPECT_EQ(delay(8), 7680);
    EXPECT_EQ(delay(9), 4 * 3600);
    EXPECT_EQ(delay(1'000'000), 4 * 3600);
    EXPECT_EQ(delay(1, 0), 48);
    EXPECT_EQ(delay(1, 0.999999), 72);
    EXPECT_EQ(delay(0), 60) << "as the first";
    settings.retry_first = 0s;
    EXPECT_EQ(delay(1), 1) << "never at once: that would be a loop";
}

TEST_F(ScheduleTest, ADestinationGetsNoMoreConnectionsThanItMayAndAllTogetherNeither) {
    settings.connections_per_destination_max = 2;
    settings.connections_max = 3;
    make();
    for (std::uint64_t i = 1; i <= 10; ++i)
        add(i);
    EXPECT_EQ(lane(), "a.example");
    EXPECT_EQ(lane(), "a.example");
    EXPECT_EQ(lane(), "");
    for (std::uint64_t i = 11; i <= 20; ++i)
        add(i, "b.example");
    EXPECT_EQ(lane(), "b.example");
    EXPECT_EQ(lane(), "") << "three in all";
    schedule->lane_closed("a.example", now);
    EXPECT_EQ(lane(), "b.example") << "it has waited longer";
}

TEST_F(ScheduleTest, OneMessageGetsOneConnection) {
    make();
    add(1);
    EXPECT_EQ(lane(), "a.example");
    EXPECT_EQ(lane(), "") << "the one under way will take it";
    EXPECT_EQ(part(), 1u);
    EXPECT_EQ(part(), 0u);
    schedule->lane_closed("a.example", now);
    EXPECT_EQ(lane(), "");
    EXPECT_EQ(schedule->parts(), 0u);
}

TEST_F(ScheduleTest, WhatIsDueLaterIsTriedLater) {
    make();
    add(1, "a.example", 1, 60s);
    EXPECT_EQ(lane(), "");
    now += 59s;
    EXPECT_EQ(lane(), "");
    now += 1s;
    EXPECT_EQ(lane(), "a.example");
    EXPECT_EQ(part(), 1u);
}

TEST_F(ScheduleTest, ADeadDestinationIsTriedByOneConnectionForAllItsMessages) {
    make();
    for (std::uint64_t i = 1; i <= 10'000; ++i)
        add(i);
    std::size_t tries = 0;
    for (int minute = 0; minute < 24 * 60; ++minute, now += 1min) {
        std::size_t at_once = 0;
        while (lane() != "") {
            ++at_once;
            ++tries;
        }
        for (; at_once != 0; --at_once) {
            schedule->lane_asks("a.example", now);
            schedule->unreachable("a.example", now);
            schedule->lane_closed("a.example", now);
        }
    }
    // The first time as many as may be at once; then 1, 2, 4 … 240, 240 minutes.
    EXPECT_LE(tries, settings.connections_per_destination_max + 15);
    EXPECT_GE(tries, 10u);
    EXPECT_EQ(schedule->parts(), 10'000u);
    EXPECT_TRUE(schedule->left_alone_until("a.example", now));
    EXPECT_EQ(part(), 0u) << "nothing is taken while it is left alone";
    schedule->forgive("a.example", now);
    EXPECT_EQ(lane(), "a.example");
    EXPECT_NE(part(), 0u);
}

TEST_F(ScheduleTest, AfterAFailureOneConnectionFindsOut) {
    make();
    for (std::uint64_t i = 1; i <= 10; ++i)
        add(i);
    schedule->unreachable("a.example", now);
    EXPECT_EQ(lane(), "");
    now += 60s;
    EXPECT_EQ(lane(), "a.example");
    EXPECT_EQ(lane(), "");
    EXPECT_NE(part(), 0u);
    schedule->reached("a.example", now);
    EXPECT_EQ(lane(), "a.example") << "now the others may";
}

TEST_F(ScheduleTest, SourcesTakeTurns) {
    make();
    for (std::uint64_t i = 1; i <= 1000; ++i)
        add(i, "a.example", 7);
    add(2000, "a.example", 8);
    add(2001, "a.example", 8);
    std::vector<std::uint64_t> order;
    for (int i = 0; i < 4; ++i)
        order.push_back(part());
    EXPECT_EQ(order, (std::vector<std::uint64_t>{1, 2000, 2, 2001}));
    EXPECT_EQ(part(), 3u);
    // Who comes later does not wait behind all of them either.
    add(3000, "a.example", 9);
    EXPECT_EQ(part(), 3000u);
}

TEST_F(ScheduleTest, ARateHoldsForEachMinute) {
    settings.messages_per_minute = 3;
    make();
    for (std::uint64_t i = 1; i <= 7; ++i)
        add(i);
    EXPECT_EQ(lane(), "a.example");
    EXPECT_TRUE(part() && part() && part());
    EXPECT_EQ(part(), 0u);
    schedule->lane_closed("a.example", now);
    EXPECT_EQ(lane(), "");
    now += 59s;
    EXPECT_EQ(lane(), "");
    now += 1s;
    EXPECT_EQ(lane(), "a.example");
    EXPECT_TRUE(part() && part() && part());
    EXPECT_EQ(part(), 0u);
}

TEST_F(ScheduleTest, WhatIsRemovedIsNotTaken) {
    make();
    add(1);
    schedule->add({1, 1}, "b.example", 1, now, now);
    add(2);
    schedule->remove(1);
    EXPECT_EQ(schedule->parts(), 1u);
    EXPECT_EQ(part(), 2u);
    EXPECT_EQ(lane(), "") << "nothing is left for either";
}

TEST_F(ScheduleTest, HastenedMessagesAreDueNow) {
    make();
    add(1, "a.example", 1, 1h);
    add(2, "a.example", 1, 1h);
    schedule->unreachable("a.example", now);
    EXPECT_EQ(schedule->hasten(2, now), 1u);
    EXPECT_EQ(schedule->hasten(3, now), 0u);
    EXPECT_EQ(lane(), "a.example");
    EXPECT_EQ(part(), 2u);
    EXPECT_EQ(part(), 0u);
    EXPECT_EQ(schedule->hasten_all(now), 1u);
    EXPECT_EQ(part(), 1u);
}

TEST_F(ScheduleTest, DestinationsThatNothingWaitsForAreForgotten) {
    make();
    add(1);
    now += 1h;
    schedule->tidy_up(now);
    EXPECT_EQ(schedule->destinations(), 1u);
    lane();
    part();
    schedule->tidy_up(now);
    EXPECT_EQ(schedule->destinations(), 1u) << "a connection is open";
    schedule->lane_closed("a.example", now);
    schedule->tidy_up(now);
    EXPECT_EQ(schedule->destinations(), 0u);
    add(2);
    EXPECT_EQ(lane(), "a.example");
}

TEST_F(ScheduleTest, APartThatIsAddedAgainIsMoved) {
    make();
    add(1, "a.example", 1, 1h);
    add(1);
    EXPECT_EQ(schedule->parts(), 1u);
    EXPECT_EQ(part(), 1u);
    EXPECT_EQ(part(), 0u);
}

}  // namespace
}  // namespace pier::queue
