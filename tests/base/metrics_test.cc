#include "base/metrics.h"

#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace pier::metrics {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(Counter, AddsUpWhatAllThreadsAdd) {
    const auto owned_counter = std::make_unique<Counter>();
    Counter& counter = *owned_counter;
    std::vector<std::thread> threads;
    for (int i = 0; i < 20; ++i)
        threads.emplace_back([&] {
            for (int j = 0; j < 1000; ++j)
                counter.add();
            counter.add(5);
        });
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(counter.value(), 20u * 1005);
}

TEST(Histogram, ABoundBelongsToWhatIsBelowIt) {
    for (std::size_t i = 0; i < time_bounds.size(); ++i) {
        const auto owned = std::make_unique<Histogram>();  // the stack of a sanitizer is not aligned so far
        Histogram& histogram = *owned;
        histogram.observe(time_bounds[i] - nanoseconds(1));
        histogram.observe(time_bounds[i]);
        histogram.observe(time_bounds[i] + nanoseconds(1));
        const auto values = histogram.values();
        EXPECT_EQ(values.counts[i], 2u) << i;
        EXPECT_EQ(values.counts[i + 1], 1u) << i;
        EXPECT_EQ(values.count(), 3u);
    }
}

TEST(Histogram, SumsTimes) {
    const auto owned = std::make_unique<Histogram>();  // the stack of a sanitizer is not aligned so far
    Histogram& histogram = *owned;
    histogram.observe(seconds(1), 3);
    histogram.observe(microseconds(500'000));
    histogram.observe(nanoseconds(-5));
    const auto values = histogram.values();
    EXPECT_DOUBLE_EQ(values.sum.count(), 3.5);
    EXPECT_EQ(values.count(), 5u);
    EXPECT_EQ(values.counts[0], 1u);
    Histogram::Values both = values;
    both += values;
    EXPECT_EQ(both.count(), 10u);
    EXPECT_DOUBLE_EQ(both.sum.count(), 7);
}

TEST(Histogram, BoundsAscend) {
    for (std::size_t i = 1; i < time_bounds.size(); ++i)
        EXPECT_LT(time_bounds[i - 1], time_bounds[i]);
}

TEST(Stopwatch, ObservesOnceAtItsEnd) {
    const auto owned = std::make_unique<Histogram>();  // the stack of a sanitizer is not aligned so far
    Histogram& histogram = *owned;
    { const Stopwatch stopwatch(&histogram); }
    { const Stopwatch nothing(nullptr); }
    EXPECT_EQ(histogram.values().count(), 1u);
}

}  // namespace
}  // namespace pier::metrics
