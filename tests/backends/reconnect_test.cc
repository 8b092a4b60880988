#include "backends/reconnect.h"

#include <gtest/gtest.h>

namespace pier::backends {
namespace {

using namespace std::chrono_literals;

TEST(Reconnect, pauses_double_up_to_a_limit_and_begin_anew_after_success) {
    Reconnect reconnect;
    Instant now{1h};
    EXPECT_TRUE(reconnect.may_try(now));
    for (const auto pause : {250ms, 500ms, 1000ms, 2000ms, 4000ms, 8000ms, 10'000ms, 10'000ms}) {
        reconnect.failed(now, {ErrorKind::io, "away"});
        EXPECT_FALSE(reconnect.may_try(now + pause - 1ms)) << pause.count();
        EXPECT_TRUE(reconnect.may_try(now + pause)) << pause.count();
        EXPECT_EQ(reconnect.failure().text, "away");
        now += pause;
    }
    reconnect.succeeded();
    EXPECT_TRUE(reconnect.may_try(now));
    reconnect.failed(now, {ErrorKind::io, "away again"});
    EXPECT_TRUE(reconnect.may_try(now + 250ms));
}

TEST(Reconnect, what_is_left_is_never_nought) {
    const Instant now{1h};
    EXPECT_EQ(deadline_of(10s, now), now + 9s);
    EXPECT_EQ(left_until(now + 3s, now), 3000ms);
    EXPECT_EQ(left_until(now, now), 1ms);
    EXPECT_EQ(left_until(now - 1s, now), 1ms);
}

}  // namespace
}  // namespace pier::backends
