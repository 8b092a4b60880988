#include "store/log/verified.h"

#include <gtest/gtest.h>

namespace pier::test {
namespace {

using store::log::Place;
using store::log::VerifiedMessages;

TEST(VerifiedMessages, KnowsAMessageInItsAgeAndNoOther) {
    VerifiedMessages verified;
    const Place place{3, 4096};
    EXPECT_FALSE(verified.find(place, 1));
    verified.remember(place, 1, {88, true});
    const auto known = verified.find(place, 1);
    ASSERT_TRUE(known);
    EXPECT_EQ(known->payload_offset, 88u);
    EXPECT_TRUE(known->complete);
    EXPECT_FALSE(verified.find(place, 2));
    EXPECT_FALSE(verified.find({3, 4104}, 1));
    EXPECT_FALSE(verified.find({4, 4096}, 1));
    verified.remember(place, 2, {88, false});
    EXPECT_FALSE(verified.find(place, 1));
    EXPECT_FALSE(verified.find(place, 2)->complete);
}

// However many there are: the table does not grow, and never mistakes one for another.
TEST(VerifiedMessages, KnowsMostOfAMailboxAndForgetsWhatIsTooMuch) {
    VerifiedMessages verified;
    const auto place_of = [](std::uint64_t i) { return Place{1, 64 + i * 1032}; };
    std::uint64_t known = 0;
    for (std::uint64_t i = 0; i < 1000; ++i)
        verified.remember(place_of(i), 1, {static_cast<std::uint32_t>(i), true});
    for (std::uint64_t i = 0; i < 1000; ++i) {
        const auto found = verified.find(place_of(i), 1);
        if (!found) continue;
        ++known;
        EXPECT_EQ(found->payload_offset, i);
    }
    EXPECT_GT(known, 998u);
    for (std::uint64_t i = 0; i < 10 * VerifiedMessages::slots_count; ++i)
        verified.remember(place_of(i), 1, {static_cast<std::uint32_t>(i), true});
    known = 0;
    for (std::uint64_t i = 0; i < 10 * VerifiedMessages::slots_count; ++i) {
        const auto found = verified.find(place_of(i), 1);
        if (!found) continue;
        ++known;
        EXPECT_EQ(found->payload_offset, i);
    }
    EXPECT_LE(known, VerifiedMessages::slots_count);
}

}  // namespace
}  // namespace pier::test
