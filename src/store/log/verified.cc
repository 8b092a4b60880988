#include "store/log/verified.h"

namespace pier::store::log {

// Multiplies by 2^64 divided by the golden ratio: places that follow each other land far apart.
std::size_t VerifiedMessages::slot_of(Place place) {
    return static_cast<std::size_t>((place.packed() * 0x9E3779B97F4A7C15u) >> 40) % slots_count;
}

void VerifiedMessages::remember(Place place, std::uint32_t age, const Message& message) {
    const std::size_t at = slot_of(place);
    const Moment until = std::chrono::steady_clock::now() + good_for;
    std::lock_guard lock(locks_[at % locks_count]);
    slots_[at] = {place.packed(), age, message, until};
}

std::optional<VerifiedMessages::Message> VerifiedMessages::find(Place place, std::uint32_t age) const {
    const std::size_t at = slot_of(place);
    std::lock_guard lock(locks_[at % locks_count]);
    const Slot& slot = slots_[at];
    if (slot.place != place.packed() || slot.age != age || std::chrono::steady_clock::now() >= slot.until)
        return std::nullopt;
    return slot.message;
}

}  // namespace pier::store::log
