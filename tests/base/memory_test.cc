#include "base/memory.h"

#include <gtest/gtest.h>

namespace pier {
namespace {

constexpr std::uint64_t mib = 1 << 20;

TEST(MemoryTest, WithoutALimitItIsNeverShort) {
    EXPECT_FALSE(memory::is_short_of(1ull << 50, 0));
}

TEST(MemoryTest, ItIsShortWhenLessThanTheMarginIsLeft) {
    const std::uint64_t limit = 1024 * mib;
    EXPECT_FALSE(memory::is_short_of(limit - memory::short_octets, limit));
    EXPECT_TRUE(memory::is_short_of(limit - memory::short_octets + 1, limit));
    EXPECT_TRUE(memory::is_short_of(2 * limit, limit));
}

TEST(MemoryTest, OfASmallLimitAQuarterIsKept) {
    EXPECT_FALSE(memory::is_short_of(75 * mib, 100 * mib));
    EXPECT_TRUE(memory::is_short_of(75 * mib + 1, 100 * mib));
}

}  // namespace
}  // namespace pier
