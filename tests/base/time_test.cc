#include "base/time.h"

#include <gtest/gtest.h>

namespace pier {
namespace {

using std::chrono::microseconds;

TEST(TimeTest, Formats) {
    const Time time{microseconds(1'795'293'506'000'000)};
    EXPECT_EQ(to_rfc3339(time), "2026-11-21T20:38:26Z");
    EXPECT_EQ(to_rfc5322(time), "Sat, 21 Nov 2026 20:38:26 +0000");
    EXPECT_EQ(to_rfc3339(Time{}), "1970-01-01T00:00:00Z");
    EXPECT_EQ(to_rfc3339(Time{microseconds(-1)}), "1969-12-31T23:59:59Z");
}

}  // namespace
}  // namespace pier
