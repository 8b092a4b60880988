#include "store/log/checksum.h"

#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>  // replaces the functions by those that look at the processor
#endif

namespace pier::store::log {

std::uint64_t checksum_of(std::string_view octets, std::uint64_t seed) {
    return XXH3_64bits_withSeed(octets.data(), octets.size(), seed);
}

Checksum::Checksum(std::uint64_t seed) {
    // Without this a state on the stack may pass for one that has this seed's secret already, whatever lies
    // there: a record of more than 240 octets then got a checksum that nobody could reproduce.
    XXH3_INITSTATE(&state_);
    XXH3_64bits_reset_withSeed(&state_, seed);
}

void Checksum::add(std::string_view octets) {
    XXH3_64bits_update(&state_, octets.data(), octets.size());
}

std::uint64_t Checksum::value() const {
    return XXH3_64bits_digest(&state_);
}

}  // namespace pier::store::log
