// Messages that were verified a short while ago: their octets are sent again without reading them twice. Each
// is verified when it is first read; the answer holds for a few minutes, and only as long as nobody but the
// appender has changed the segment's file since (its modification time tells).
//
// What that leaves open: a message that was verified, has gone from the kernel's cache, and comes back
// damaged from the disk, all within those minutes.
//
// Bounded: a table of fixed size, in sets of four; a message that finds its set full takes the oldest one's
// place. Any thread; never waits.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "store/log/record.h"

namespace pier::store::log {

class VerifiedMessages {
  public:
    // What is worth knowing of one beside that its octets are good.
    struct Message {
        std::uint32_t payload_offset = 0;  // from where its record begins
        bool complete = false;             // ends with CRLF
    };

    VerifiedMessages() : slots_(slots_count) {}

    // `age` is the segment's (Segment::age): a message is only known in the age in which it was verified.
    void remember(Place place, std::uint32_t age, const Message& message);
    std::optional<Message> find(Place place, std::uint32_t age) const;

    static constexpr std::size_t slots_count = 32'768;  // 1 MiB
    static constexpr std::chrono::seconds good_for{600};

  private:
    using Moment = std::chrono::steady_clock::time_point;
    struct Slot {
        std::uint64_t place = 0;  // packed; 0 is none, because a segment begins with its header
        std::uint32_t age = 0;
        Message message;
        Moment until;
    };
    static constexpr std::size_t set_slots = 4, sets_count = slots_count / set_slots;
    static std::size_t set_of(Place place);

    static constexpr std::size_t locks_count = 16;  // set i has lock i % 16
    mutable std::array<std::mutex, locks_count> locks_;
    std::vector<Slot> slots_;
};

}  // namespace pier::store::log
