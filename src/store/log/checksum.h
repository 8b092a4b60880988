// XXH3-64, the checksum of everything on the disk (docs/disk-format.md). On x86 it uses what the processor
// has: AVX-512 takes a quarter of the time of SSE2, which is all that a program compiled for every x86-64 may
// use by itself.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

struct XXH3_state_s;

namespace pier::store::log {

std::uint64_t checksum_of(std::string_view octets, std::uint64_t seed = 0);

// The same of octets that come piece by piece.
class Checksum {
  public:
    explicit Checksum(std::uint64_t seed = 0);
    void add(std::string_view octets);
    std::uint64_t value() const;

  private:
    struct Free {
        void operator()(XXH3_state_s* state) const;
    };
    std::unique_ptr<XXH3_state_s, Free> state_;
};

}  // namespace pier::store::log
