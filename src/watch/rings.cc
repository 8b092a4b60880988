#include "watch/rings.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <boost/crc.hpp>
#include <boost/endian/conversion.hpp>

namespace pier::watch {
namespace {

using boost::endian::load_little_u32;
using boost::endian::load_little_u64;
using boost::endian::store_little_u32;
using boost::endian::store_little_u64;

unsigned char* raw(char* at) {
    return reinterpret_cast<unsigned char*>(at);
}
const unsigned char* raw(const char* at) {
    return reinterpret_cast<const unsigned char*>(at);
}

// CRC-32C of what is before the checksum, and of the place.
std::uint32_t checksum_of(const char* octets, std::size_t place) {
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
    crc.process_bytes(octets, slot_octets - 4);
    std::array<unsigned char, 4> where;
    store_little_u32(where.data(), static_cast<std::uint32_t>(place));
    crc.process_bytes(where.data(), where.size());
    return crc.checksum();
}

std::int64_t step_of(Time at, std::chrono::seconds step) {
    return std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count() / step.count();
}

std::size_t first_place(std::size_t ring) {
    std::size_t place = 0;
    for (std::size_t i = 0; i < ring; ++i)
        place += resolutions[i].slots;
    return place;
}

std::size_t place_of(std::size_t ring, std::int64_t step) {
    return first_place(ring) + static_cast<std::size_t>(step) % resolutions[ring].slots;
}

float narrow(double value) {
    constexpr double most = std::numeric_limits<float>::max();
    return static_cast<float>(std::clamp(value, -most, most));
}

}  // namespace

void Slot::join(double value) {
    const float as_kept = narrow(value);
    min = count == 0 ? as_kept : std::min(min, as_kept);
    max = count == 0 ? as_kept : std::max(max, as_kept);
    last = as_kept;
    if (count == std::numeric_limits<std::uint32_t>::max()) return;
    ++count;
    mean += (value - mean) / count;
}

SlotOctets encode_slot(const Slot& slot, std::size_t place) {
    SlotOctets octets;
    store_little_u32(raw(&octets[0]), slot.step);
    store_little_u32(raw(&octets[4]), slot.count);
    store_little_u32(raw(&octets[8]), std::bit_cast<std::uint32_t>(slot.min));
    store_little_u32(raw(&octets[12]), std::bit_cast<std::uint32_t>(slot.max));
    store_little_u32(raw(&octets[16]), std::bit_cast<std::uint32_t>(slot.last));
    store_little_u64(raw(&octets[20]), std::bit_cast<std::uint64_t>(slot.mean));
    store_little_u32(raw(&octets[28]), checksum_of(octets.data(), place));
    return octets;
}

std::optional<Slot> decode_slot(std::span<const char, slot_octets> octets, std::size_t place) {
    if (load_little_u32(raw(&octets[28])) != checksum_of(octets.data(), place)) return std::nullopt;
    Slot slot;
    slot.step = load_little_u32(raw(&octets[0]));
    slot.count = load_little_u32(raw(&octets[4]));
    slot.min = std::bit_cast<float>(load_little_u32(raw(&octets[8])));
    slot.max = std::bit_cast<float>(load_little_u32(raw(&octets[12])));
    slot.last = std::bit_cast<float>(load_little_u32(raw(&octets[16])));
    slot.mean = std::bit_cast<double>(load_little_u64(raw(&octets[20])));
    if (slot.count == 0) return std::nullopt;
    return slot;
}

Result<void> Rings::add(double value, Time at) {
    if (!std::isfinite(value)) return Error{ErrorKind::invalid, "a measurement that is no number"};
    if (at.time_since_epoch().count() < 0)
        return Error{ErrorKind::invalid, "a measurement from before 1970: look at the machine's clock"};
    for (std::size_t ring = 0; ring < resolutions.size(); ++ring) {
        const std::int64_t step = step_of(at, resolutions[ring].step);
        if (step > std::numeric_limits<std::uint32_t>::max())
            return Error{ErrorKind::invalid, "a measurement from too far in the future"};
        const std::size_t place = place_of(ring, step);
        auto& present = present_[ring];
        if (!present || present->step != step) {
            auto there = storage_.read(place);
            if (!there) return there.error();
            const bool same_time = *there && (*there)->step == step;
            present = same_time ? **there : Slot{.step = static_cast<std::uint32_t>(step)};
        }
        Slot joined = *present;
        joined.join(value);
        if (auto written = storage_.write(place, joined); !written) return written;
        present = joined;
    }
    return {};
}

Result<std::vector<Point>> Rings::points(Time from, Time to, Time now, std::size_t points_max) const {
    std::vector<Point> points;
    from = std::max(from, Time{});
    to = std::min(to, now + std::chrono::microseconds(1));  // what is in the future was never measured
    if (from >= to || points_max == 0) return points;
    const auto last_of = [&](std::size_t ring) {
        return step_of(to - std::chrono::microseconds(1), resolutions[ring].step);
    };
    const auto first_of = [&](std::size_t ring) {
        const auto step = resolutions[ring].step;
        return step_of(from + step - std::chrono::microseconds(1), step);  // the first that begins in it
    };
    const auto oldest_of = [&](std::size_t ring) {
        return step_of(now, resolutions[ring].step) - static_cast<std::int64_t>(resolutions[ring].slots) + 1;
    };
    std::size_t ring = 0;
    const auto fits = [&] {
        return first_of(ring) >= oldest_of(ring) &&
               last_of(ring) - first_of(ring) < static_cast<std::int64_t>(points_max);
    };
    while (ring + 1 < resolutions.size() && !fits())
        ++ring;
    const std::int64_t last = last_of(ring);
    const std::int64_t first =
        std::max({first_of(ring), oldest_of(ring),
                  last - static_cast<std::int64_t>(std::min(points_max, slots_in_all)) + 1});
    for (std::int64_t step = first; step <= last; ++step) {
        auto slot = storage_.read(place_of(ring, step));
        if (!slot) return slot.error();
        if (!*slot || (*slot)->step != step) continue;
        const auto length = resolutions[ring].step;
        points.push_back({Time(length * step), length, (*slot)->count, (*slot)->min, (*slot)->max,
                          (*slot)->mean, (*slot)->last});
    }
    return points;
}

}  // namespace pier::watch
