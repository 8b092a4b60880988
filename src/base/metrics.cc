#include "base/metrics.h"

#include <algorithm>

namespace pier::metrics {

std::size_t this_cell() noexcept {
    static std::atomic<std::size_t> threads = 0;
    thread_local const std::size_t cell = threads.fetch_add(1, std::memory_order_relaxed) % cells;
    return cell;
}

std::uint64_t Counter::value() const noexcept {
    std::uint64_t sum = 0;
    for (const Cell& cell : cells_)
        sum += cell.value.load(std::memory_order_relaxed);
    return sum;
}

void Histogram::observe(std::chrono::nanoseconds time, std::uint64_t times) noexcept {
    time = std::max(time, std::chrono::nanoseconds(0));
    std::size_t place = 0;
    while (place < time_bounds.size() && time > time_bounds[place])
        ++place;
    Cell& cell = cells_[this_cell()];
    cell.counts[place].fetch_add(times, std::memory_order_relaxed);
    cell.sum_ns.fetch_add(static_cast<std::uint64_t>(time.count()) * times, std::memory_order_relaxed);
}

Histogram::Values Histogram::values() const {
    Values values;
    std::uint64_t sum_ns = 0;
    for (const Cell& cell : cells_) {
        for (std::size_t i = 0; i < values.counts.size(); ++i)
            values.counts[i] += cell.counts[i].load(std::memory_order_relaxed);
        sum_ns += cell.sum_ns.load(std::memory_order_relaxed);
    }
    values.sum = std::chrono::duration<double, std::nano>(static_cast<double>(sum_ns));
    return values;
}

std::uint64_t Histogram::Values::count() const {
    std::uint64_t all = 0;
    for (const std::uint64_t one : counts)
        all += one;
    return all;
}

Histogram::Values& Histogram::Values::operator+=(const Values& other) {
    for (std::size_t i = 0; i < counts.size(); ++i)
        counts[i] += other.counts[i];
    sum += other.sum;
    return *this;
}

}  // namespace pier::metrics
