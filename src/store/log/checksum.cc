#include "store/log/checksum.h"

#include <new>

#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>  // replaces the functions by those that look at the processor
#endif

namespace pier::store::log {

std::uint64_t checksum_of(std::string_view octets, std::uint64_t seed) {
    return XXH3_64bits_withSeed(octets.data(), octets.size(), seed);
}

// xxHash makes its state, which wants more of alignment and of initial values than a variable of ours is sure
// to have: one that was not initialised once gave checksums that nobody could reproduce.
Checksum::Checksum(std::uint64_t seed) : state_(XXH3_createState()) {
    if (!state_) throw std::bad_alloc();
    XXH3_64bits_reset_withSeed(state_.get(), seed);
}

void Checksum::Free::operator()(XXH3_state_s* state) const {
    XXH3_freeState(state);
}

void Checksum::add(std::string_view octets) {
    XXH3_64bits_update(state_.get(), octets.data(), octets.size());
}

std::uint64_t Checksum::value() const {
    return XXH3_64bits_digest(state_.get());
}

}  // namespace pier::store::log
