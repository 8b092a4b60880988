// Series in fixed space: two years go by on a clock of the test's own.
#include "watch/rings.h"

#include <cmath>
#include <limits>
#include <map>

#include <gtest/gtest.h>

namespace pier::watch {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// Octets, as a file has them.
class Memory : public SlotStorage {
  public:
    Result<std::optional<Slot>> read(std::size_t place) const override {
        if (fails) return Error{ErrorKind::io, "no disk"};
        const auto at = octets.find(place);
        if (at == octets.end()) return std::optional<Slot>();
        return decode_slot(at->second, place);
    }
    Result<void> write(std::size_t place, const Slot& slot) override {
        if (fails) return Error{ErrorKind::io, "no disk"};
        EXPECT_LT(place, slots_in_all);
        octets[place] = encode_slot(slot, place);
        return {};
    }
    std::map<std::size_t, SlotOctets> octets;
    bool fails = false;
};

const Time start = Time(hours(24 * 365 * 56));  // at a full hour

std::vector<Point> points(const Rings& rings, Time from, Time to, Time now, std::size_t most = 100'000) {
    auto found = rings.points(from, to, now, most);
    EXPECT_TRUE(found);
    return found ? *found : std::vector<Point>();
}

TEST(Rings, ASlotHasCountMinMaxMeanAndLast) {
    Memory memory;
    Rings rings(memory);
    for (const double value : {2.0, 8.0, 5.0})
        ASSERT_TRUE(rings.add(value, start + seconds(10)));
    const auto found = points(rings, start, start + minutes(1), start + seconds(20));
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].at, start);
    EXPECT_EQ(found[0].step, minutes(1));
    EXPECT_EQ(found[0].count, 3u);
    EXPECT_EQ(found[0].min, 2);
    EXPECT_EQ(found[0].max, 8);
    EXPECT_EQ(found[0].mean, 5);
    EXPECT_EQ(found[0].last, 5);
}

TEST(Rings, TheMinuteEndsWithItsLastMicrosecond) {
    Memory memory;
    Rings rings(memory);
    ASSERT_TRUE(rings.add(1, start + minutes(1) - std::chrono::microseconds(1)));
    ASSERT_TRUE(rings.add(2, start + minutes(1)));
    const auto found = points(rings, start, start + minutes(5), start + minutes(2));
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].last, 1);
    EXPECT_EQ(found[1].last, 2);
}

TEST(Rings, TwoYearsTakeNoMoreSpaceThanTheSlots) {
    Memory memory;
    Rings rings(memory);
    Time now = start;
    const Time end = start + hours(24 * 800);
    // Five minutes apart: each ring goes round at least once, the minutes' with gaps.
    for (; now < end; now += minutes(5))
        ASSERT_TRUE(rings.add(static_cast<double>((now - start) / minutes(5)), now));
    EXPECT_LE(memory.octets.size(), slots_in_all);
    now -= minutes(5);

    const auto years = points(rings, now - hours(24 * 730), now + minutes(1), now);
    ASSERT_EQ(years.size(), 24u * 730);
    EXPECT_EQ(years.front().step, hours(1));
    EXPECT_EQ(years.front().count, 12u);
    EXPECT_EQ(years.front().max - years.front().min, 11);
    const auto month = points(rings, now - hours(24 * 30), now + minutes(1), now);
    ASSERT_EQ(month.size(), 24u * 12 * 30 + 1);
    EXPECT_EQ(month.front().step, minutes(5));
    const auto day = points(rings, now - hours(24), now + minutes(1), now);
    ASSERT_EQ(day.size(), 24u * 12 + 1);
    EXPECT_EQ(day.front().step, minutes(1));
    EXPECT_EQ(day.back().last, static_cast<double>((now - start) / minutes(5)));
    // Older than everything that is kept.
    EXPECT_TRUE(points(rings, start, start + hours(24), now).empty());
}

TEST(Rings, TheFinestRingThatReachesBackAnswers) {
    Memory memory;
    Rings rings(memory);
    const Time now = start + hours(24 * 60);
    for (Time at = now - hours(24 * 3); at <= now; at += minutes(1))
        ASSERT_TRUE(rings.add(1, at));
    const auto step_from = [&](Time from) { return points(rings, from, now, now).front().step; };
    const Time oldest = now - minutes(2 * 24 * 60 - 1);
    EXPECT_EQ(step_from(oldest + minutes(1)), minutes(1));
    EXPECT_EQ(step_from(oldest), minutes(1));
    EXPECT_EQ(step_from(oldest - minutes(1)), minutes(5));
}

TEST(Rings, NoMorePointsThanAskedFor) {
    Memory memory;
    Rings rings(memory);
    const Time now = start + hours(24);
    for (Time at = start; at < now; at += minutes(1))
        ASSERT_TRUE(rings.add(1, at));
    EXPECT_EQ(points(rings, now - hours(1), now, now, 59).size(), 12u);
    EXPECT_EQ(points(rings, now - hours(1), now, now, 60).size(), 60u);
    EXPECT_EQ(points(rings, now - hours(1), now, now, 61).size(), 60u);
    EXPECT_EQ(points(rings, start, now, now, 3).size(), 3u);
    EXPECT_TRUE(points(rings, start, now, now, 0).empty());
    EXPECT_TRUE(points(rings, now, start, now).empty());
}

TEST(Rings, AClockSetBackJoinsWhatWasMeasuredThen) {
    Memory memory;
    Rings rings(memory);
    ASSERT_TRUE(rings.add(1, start));
    ASSERT_TRUE(rings.add(2, start + minutes(1)));
    ASSERT_TRUE(rings.add(3, start));
    const auto found = points(rings, start, start + minutes(5), start + minutes(1));
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].count, 2u);
    EXPECT_EQ(found[0].max, 3);
    EXPECT_EQ(found[1].count, 1u);
}

TEST(Rings, AWrongFutureIsNotShownAndIsOverwritten) {
    Memory memory;
    Rings rings(memory);
    const Time future = start + hours(24 * 365 * 10);
    for (int i = 0; i < 3000; ++i)
        ASSERT_TRUE(rings.add(99, future + minutes(i)));
    for (int i = 0; i < 3000; ++i)
        ASSERT_TRUE(rings.add(1, start + minutes(i)));
    const Time now = start + minutes(2999);
    const auto found = points(rings, start, future + hours(24 * 365), now);
    ASSERT_FALSE(found.empty());
    for (const Point& point : found)
        EXPECT_EQ(point.max, 1);
    EXPECT_LE(found.back().at, now);
}

TEST(Rings, AGapIsLeftOut) {
    Memory memory;
    Rings rings(memory);
    ASSERT_TRUE(rings.add(1, start));
    ASSERT_TRUE(rings.add(2, start + minutes(10)));
    EXPECT_EQ(points(rings, start, start + minutes(11), start + minutes(11)).size(), 2u);
}

TEST(Rings, GoOnAfterARestart) {
    Memory memory;
    {
        Rings rings(memory);
        ASSERT_TRUE(rings.add(1, start));
    }
    Rings rings(memory);
    ASSERT_TRUE(rings.add(3, start + seconds(30)));
    const auto found = points(rings, start, start + minutes(1), start + minutes(1));
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].count, 2u);
    EXPECT_EQ(found[0].mean, 2);
}

TEST(Rings, WhatIsNoNumberIsRefused) {
    Memory memory;
    Rings rings(memory);
    for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL})
        EXPECT_EQ(rings.add(value, start).error().kind, ErrorKind::invalid);
    EXPECT_EQ(rings.add(1, Time(seconds(-1))).error().kind, ErrorKind::invalid);
    EXPECT_TRUE(rings.add(1, Time(seconds(0))));
    EXPECT_TRUE(memory.octets.size() == 3);
    // Larger than what a slot keeps: as much as fits.
    ASSERT_TRUE(rings.add(1e300, start));
    EXPECT_EQ(points(rings, start, start + minutes(1), start)[0].max, std::numeric_limits<float>::max());
}

TEST(Rings, AFailureOfTheDiskIsToldAndNotRemembered) {
    Memory memory;
    Rings rings(memory);
    ASSERT_TRUE(rings.add(1, start));
    memory.fails = true;
    EXPECT_EQ(rings.add(2, start).error().kind, ErrorKind::io);
    EXPECT_EQ(rings.points(start, start + minutes(1), start, 10).error().kind, ErrorKind::io);
    memory.fails = false;
    ASSERT_TRUE(rings.add(3, start));
    EXPECT_EQ(points(rings, start, start + minutes(1), start)[0].count, 2u);
}

TEST(Slot, IsReadBackAsItWas) {
    const Slot slot{.step = 7, .count = 3, .min = -1.5f, .max = 2.5f, .last = 0.25f, .mean = 1.0 / 3};
    const auto back = decode_slot(encode_slot(slot, 12), 12);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->step, slot.step);
    EXPECT_EQ(back->count, slot.count);
    EXPECT_EQ(back->min, slot.min);
    EXPECT_EQ(back->max, slot.max);
    EXPECT_EQ(back->last, slot.last);
    EXPECT_EQ(back->mean, slot.mean);
}

TEST(Slot, EveryFlippedBitAndEveryTearIsFound) {
    const Slot old{.step = 6, .count = 1, .min = 1, .max = 1, .last = 1, .mean = 1};
    const Slot slot{.step = 7, .count = 3, .min = 2, .max = 3, .last = 2, .mean = 2.5};
    const SlotOctets before = encode_slot(old, 12), good = encode_slot(slot, 12);
    for (std::size_t bit = 0; bit < slot_octets * 8; ++bit) {
        SlotOctets bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        EXPECT_FALSE(decode_slot(bad, 12)) << bit;
    }
    for (std::size_t cut = 0; cut <= slot_octets; ++cut) {
        SlotOctets torn = before;
        std::copy(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(cut), torn.begin());
        const auto read = decode_slot(torn, 12);
        if (read) {
            EXPECT_TRUE(torn == before || torn == good) << cut;
        }
    }
    EXPECT_FALSE(decode_slot(good, 13));  // a slot that has got to another place
    EXPECT_FALSE(decode_slot(SlotOctets{}, 0));
}

}  // namespace
}  // namespace pier::watch
