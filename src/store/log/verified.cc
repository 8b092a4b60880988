#include "store/log/verified.h"

#include <algorithm>
#include <span>

namespace pier::store::log {

// Multiplies by 2^64 divided by the golden ratio: places that follow each other land far apart.
std::size_t VerifiedMessages::set_of(Place place) {
    return static_cast<std::size_t>((place.packed() * 0x9E3779B97F4A7C15u) >> 40) % sets_count;
}

void VerifiedMessages::remember(Place place, std::uint32_t age, const Message& message) {
    const std::size_t set = set_of(place);
    const Moment until = std::chrono::steady_clock::now() + good_for;
    std::lock_guard lock(locks_[set % locks_count]);
    const auto slots = std::span(slots_).subspan(set * set_slots, set_slots);
    auto at = std::ranges::find(slots, place.packed(), &Slot::place);
    if (at == slots.end()) at = std::ranges::min_element(slots, {}, &Slot::until);
    *at = {place.packed(), age, message, until};
}

std::optional<VerifiedMessages::Message> VerifiedMessages::find(Place place, std::uint32_t age) const {
    const std::size_t set = set_of(place);
    std::lock_guard lock(locks_[set % locks_count]);
    const auto slots = std::span(slots_).subspan(set * set_slots, set_slots);
    const auto at = std::ranges::find(slots, place.packed(), &Slot::place);
    if (at == slots.end() || at->age != age || std::chrono::steady_clock::now() >= at->until)
        return std::nullopt;
    return at->message;
}

}  // namespace pier::store::log
