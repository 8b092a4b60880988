// Keys of the queue's records: numbers, used again when their message has gone. Pure.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace pier::queue {

inline std::string slot_key(std::uint32_t slot) {
    return fmt::format("{:08x}", slot);
}

inline std::optional<std::uint32_t> slot_of(std::string_view key) {
    std::uint32_t slot = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), slot, 16);
    if (error != std::errc() || end != key.data() + key.size() || key.size() != 8) return std::nullopt;
    return slot;
}

}  // namespace pier::queue
