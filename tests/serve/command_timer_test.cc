#include "serve/command_timer.h"

#include <gtest/gtest.h>

namespace pier::serve {
namespace {

using std::chrono::milliseconds;

CommandTimer::SteadyTime now{};
CommandTimer::SteadyTime test_clock() {
    return now;
}

class Timer : public testing::Test {
  protected:
    Timer() { now = CommandTimer::SteadyTime(std::chrono::hours(1)); }
    std::uint64_t count(std::size_t command) { return meters.command_time(command).values().count(); }
    double sum(std::size_t command) { return meters.command_time(command).values().sum.count(); }

    ProtocolMeters meters{"test", {"STAT", "RETR", "other"}};
    CommandTimer timer{&meters, test_clock};
};

TEST_F(Timer, ACommandLastsFromItsArrivalToItsReply) {
    timer.begin(now);
    timer.on_command(0);
    now += milliseconds(3);
    timer.finish();
    EXPECT_EQ(count(0), 1u);
    EXPECT_DOUBLE_EQ(sum(0), 0.003);
    now += milliseconds(100);  // the client thinks
    timer.begin(now);
    timer.on_command(2);
    timer.finish();
    EXPECT_EQ(count(2), 1u);
    EXPECT_DOUBLE_EQ(sum(2), 0);
}

TEST_F(Timer, CommandsThatCameTogetherAndWereAnsweredTogether) {
    timer.begin(now);
    for (int i = 0; i < 3; ++i)
        timer.on_command(0);
    now += milliseconds(2);
    timer.on_command(2);
    now += milliseconds(1);
    timer.finish();
    EXPECT_EQ(count(0), 3u);
    EXPECT_DOUBLE_EQ(sum(0), 0.006);
    EXPECT_EQ(count(2), 1u);
    EXPECT_DOUBLE_EQ(sum(2), 0.001);
}

TEST_F(Timer, WhatTookWorkIsTimedByItself) {
    timer.begin(now);
    timer.on_command(1);
    now += milliseconds(10);
    timer.worked();
    timer.on_command(1);
    now += milliseconds(20);
    timer.worked();
    timer.finish();
    EXPECT_EQ(count(1), 2u);
    EXPECT_DOUBLE_EQ(sum(1), 0.030);
}

// The loop's turn may have begun before the last command ended.
TEST_F(Timer, ATurnThatBeganEarlierIsNotCountedTwice) {
    const auto turn = now;
    timer.begin(turn);
    timer.on_command(0);
    now += milliseconds(5);
    timer.finish();
    timer.begin(turn);
    timer.on_command(0);
    now += milliseconds(1);
    timer.finish();
    EXPECT_EQ(count(0), 2u);
    EXPECT_DOUBLE_EQ(sum(0), 0.006);
}

TEST_F(Timer, WithoutMetersNothingIsMeasured) {
    CommandTimer none(nullptr, test_clock);
    none.begin(now);
    none.on_command(1);
    none.finish();
    EXPECT_EQ(count(1), 0u);
}

TEST(ReplyClass, IsTheFirstDigit) {
    EXPECT_EQ(reply_class_names[reply_class(250)], "2xx");
    EXPECT_EQ(reply_class_names[reply_class(452)], "4xx");
    EXPECT_EQ(reply_class_names[reply_class(550)], "5xx");
}

TEST(LoginOutcome, HasANameForEachVerdict) {
    using Why = auth::Refused::Why;
    const auto name = [](const auth::Verdict& verdict) {
        return login_outcome_names[static_cast<std::size_t>(outcome_of(verdict))];
    };
    EXPECT_EQ(name(auth::AccountPtr()), "success");
    EXPECT_EQ(name(auth::Refused{Why::credentials, ""}), "credentials");
    EXPECT_EQ(name(auth::Refused{Why::disabled, ""}), "disabled");
    EXPECT_EQ(name(auth::Refused{Why::busy, ""}), "busy");
    EXPECT_EQ(name(auth::Refused{Why::held, ""}), "held");
    EXPECT_EQ(name(auth::Refused{Why::outage, ""}), "outage");
}

}  // namespace
}  // namespace pier::serve
