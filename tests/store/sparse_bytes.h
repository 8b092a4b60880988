// Octets of a file in memory, of any size: what is zero costs nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace pier::test {

// One thread at a time. Copying is cheap: blocks are shared until one side writes.
class SparseBytes {
  public:
    std::uint64_t octets() const { return octets_; }
    void write(std::uint64_t offset, std::string_view piece);
    std::size_t read(std::uint64_t offset, std::span<char> out) const;
    void truncate(std::uint64_t octets);
    // Copies [offset, offset + count) of `from`, as far as `from` reaches.
    void take(const SparseBytes& from, std::uint64_t offset, std::uint64_t count);

  private:
    static constexpr std::uint64_t block_octets = 16384;

    std::uint64_t octets_ = 0;
    std::map<std::uint64_t, std::shared_ptr<std::string>> blocks_;  // by number; an absent one is zeros
};

}  // namespace pier::test
