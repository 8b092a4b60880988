#include "store/sparse_bytes.h"

#include <algorithm>
#include <cstring>

namespace pier::test {

void SparseBytes::write(std::uint64_t offset, std::string_view piece) {
    static const std::string zeros(block_octets, '\0');
    octets_ = std::max(octets_, offset + piece.size());
    while (!piece.empty()) {
        const std::uint64_t number = offset / block_octets, within = offset % block_octets;
        const std::string_view part = piece.substr(0, block_octets - within);
        offset += part.size();
        piece.remove_prefix(part.size());
        auto found = blocks_.find(number);
        if (found == blocks_.end()) {
            if (part == std::string_view(zeros).substr(0, part.size())) continue;
            found = blocks_.emplace(number, std::make_shared<std::string>(zeros)).first;
        } else if (found->second.use_count() > 1) {
            found->second = std::make_shared<std::string>(*found->second);
        }
        std::memcpy(found->second->data() + within, part.data(), part.size());
    }
}

std::size_t SparseBytes::read(std::uint64_t offset, std::span<char> out) const {
    if (offset >= octets_) return 0;
    const std::size_t count = std::min<std::uint64_t>(out.size(), octets_ - offset);
    for (std::size_t done = 0; done < count;) {
        const std::uint64_t number = (offset + done) / block_octets, within = (offset + done) % block_octets;
        const std::size_t part = std::min<std::size_t>(count - done, block_octets - within);
        const auto found = blocks_.find(number);
        if (found == blocks_.end())
            std::memset(out.data() + done, 0, part);
        else
            std::memcpy(out.data() + done, found->second->data() + within, part);
        done += part;
    }
    return count;
}

void SparseBytes::truncate(std::uint64_t octets) {
    if (octets < octets_) {
        const std::uint64_t within = octets % block_octets;
        blocks_.erase(blocks_.lower_bound(octets / block_octets + (within != 0)), blocks_.end());
        if (within != 0 && blocks_.contains(octets / block_octets))
            write(octets, std::string(block_octets - within, '\0'));
    }
    octets_ = octets;
}

void SparseBytes::take(const SparseBytes& from, std::uint64_t offset, std::uint64_t count) {
    const std::uint64_t end = std::min(offset + count, from.octets_);
    while (offset < end) {
        const std::uint64_t number = offset / block_octets, within = offset % block_octets;
        const std::uint64_t part = std::min(end - offset, block_octets - within);
        const auto found = from.blocks_.find(number);
        if (part == block_octets && found != from.blocks_.end()) {
            blocks_[number] = found->second;
        } else if (found != from.blocks_.end()) {
            write(offset, std::string_view(*found->second).substr(within, part));
        } else if (blocks_.contains(number)) {
            write(offset, std::string(part, '\0'));
        }
        offset += part;
        octets_ = std::max(octets_, offset);
    }
}

}  // namespace pier::test
