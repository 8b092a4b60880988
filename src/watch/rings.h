// A series of measurements in fixed space: three rings of slots, one a minute for two days, one every five
// minutes for 31 days, one an hour for two years. Each slot has how many measurements fell into it, the
// smallest, the largest, their mean and the last. Pure: where the slots are kept is behind SlotStorage.
//
// A slot belongs to a time by the number of its step since 1970, and its place in the ring follows from that
// number. So there is no head to be kept, nothing to be lost with it, and a gap (the server was off) needs
// nothing written: whatever stands at a place with another number is of another time. When the clock is set
// back, measurements join those of the same time; what was measured in a wrong future is not shown and is
// overwritten.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace pier::watch {

struct Resolution {
    std::chrono::seconds step;
    std::size_t slots;
};
// From the finest on; each is longer than the one before it.
inline constexpr std::array<Resolution, 3> resolutions{{{std::chrono::minutes(1), 2 * 24 * 60},
                                                        {std::chrono::minutes(5), 31 * 24 * 12},
                                                        {std::chrono::hours(1), 731 * 24}}};
inline constexpr std::size_t slots_in_all =
    resolutions[0].slots + resolutions[1].slots + resolutions[2].slots;

struct Slot {
    std::uint32_t step = 0;   // since 1970, in steps of its ring
    std::uint32_t count = 0;  // of measurements; never 0
    float min = 0, max = 0, last = 0;
    double mean = 0;

    void join(double value);
};

// docs/disk-format.md. All numbers little-endian.
inline constexpr std::size_t slot_octets = 32;
using SlotOctets = std::array<char, slot_octets>;
// `place` is among all slots of a series: a slot that has got to another place is none.
SlotOctets encode_slot(const Slot& slot, std::size_t place);
// Absent: never written, torn, or damaged.
std::optional<Slot> decode_slot(std::span<const char, slot_octets> octets, std::size_t place);

// Where the slots of one series are; places count from 0 through the rings, the finest first.
class SlotStorage {
  public:
    virtual ~SlotStorage() = default;
    virtual Result<std::optional<Slot>> read(std::size_t place) const = 0;
    virtual Result<void> write(std::size_t place, const Slot& slot) = 0;
};

struct Point {
    Time at{};  // the slot's beginning
    std::chrono::seconds step{};
    std::uint32_t count = 0;
    double min = 0, max = 0, mean = 0, last = 0;
};

class Rings {
  public:
    explicit Rings(SlotStorage& storage) : storage_(storage) {}  // which outlives it

    // `invalid` for what is no number, or a time before 1970. After a failure of the storage some rings may
    // have the value and others not.
    Result<void> add(double value, Time at);

    // Of the slots that begin in [from, to), in order and with gaps left out: from the finest ring that still
    // reaches back to `from` (as seen at `now`) and needs no more than `points_max` slots for it; else from
    // the coarsest, its last points_max slots.
    Result<std::vector<Point>> points(Time from, Time to, Time now, std::size_t points_max) const;

  private:
    SlotStorage& storage_;
    // The slots that are being filled: most often the next value belongs to the same ones.
    std::array<std::optional<Slot>, resolutions.size()> present_;
};

}  // namespace pier::watch
