// Measurements of the running server: counters, histograms of time, and the page that shows them (in
// exposition.h). Adding to one takes no lock and does not allocate: each thread adds to cells of its own, as
// far as there are enough, so that event loops do not wait for each other's cache lines. Reading adds the
// cells up. Any thread.
//
// Who measures owns his counters and histograms, as a plain member; nothing is registered anywhere. Whoever
// makes the page (main/metrics_page) reads them.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace pier::metrics {

inline constexpr std::size_t cells = 8;
inline constexpr std::size_t cache_line_octets = 64;

// The cell of this thread, below `cells`.
std::size_t this_cell() noexcept;

class Counter {
  public:
    Counter() = default;
    Counter(const Counter&) = delete;
    Counter& operator=(const Counter&) = delete;

    void add(std::uint64_t n = 1) noexcept {
        cells_[this_cell()].value.fetch_add(n, std::memory_order_relaxed);
    }
    std::uint64_t value() const noexcept;

  private:
    struct alignas(cache_line_octets) Cell {
        std::atomic<std::uint64_t> value = 0;
    };
    std::array<Cell, cells> cells_;
};

// How long things took, by these upper bounds; one more count is for what took longer.
inline constexpr std::array<std::chrono::nanoseconds, 16> time_bounds{
    std::chrono::microseconds(50),  std::chrono::microseconds(100),  std::chrono::microseconds(250),
    std::chrono::microseconds(500), std::chrono::milliseconds(1),    std::chrono::microseconds(2500),
    std::chrono::milliseconds(5),   std::chrono::milliseconds(10),   std::chrono::milliseconds(25),
    std::chrono::milliseconds(50),  std::chrono::milliseconds(100),  std::chrono::milliseconds(250),
    std::chrono::seconds(1),        std::chrono::milliseconds(2500), std::chrono::seconds(10),
    std::chrono::seconds(60)};

class Histogram {
  public:
    Histogram() = default;
    Histogram(const Histogram&) = delete;
    Histogram& operator=(const Histogram&) = delete;

    // A time below 0 (a clock that was set) counts as 0. A bound belongs to what is below it (OpenMetrics:
    // "le").
    void observe(std::chrono::nanoseconds time, std::uint64_t times = 1) noexcept;

    struct Values {
        std::array<std::uint64_t, time_bounds.size() + 1> counts{};  // of each bound alone, not added up
        std::chrono::duration<double> sum{0};
        std::uint64_t count() const;
        Values& operator+=(const Values& other);
    };
    // Read while others add: each count is right, but the sum may be a moment older or newer than they are.
    Values values() const;

  private:
    struct alignas(cache_line_octets) Cell {
        std::array<std::atomic<std::uint64_t>, time_bounds.size() + 1> counts{};
        std::atomic<std::uint64_t> sum_ns = 0;
    };
    std::array<Cell, cells> cells_;
};

// Observes the time from its making to its end. Null: nothing.
class Stopwatch {
  public:
    explicit Stopwatch(Histogram* histogram) : histogram_(histogram) {
        if (histogram_ != nullptr) began_ = std::chrono::steady_clock::now();
    }
    ~Stopwatch() {
        if (histogram_ != nullptr) histogram_->observe(std::chrono::steady_clock::now() - began_);
    }
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

  private:
    Histogram* histogram_;
    std::chrono::steady_clock::time_point began_;
};

}  // namespace pier::metrics
