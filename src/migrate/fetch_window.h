// Which messages of a server are asked for before their turn, so that its answers follow each other without a
// pause. Bounded in messages and octets: what has been asked for waits in the connection, not here. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace pier::migrate {

class FetchWindow {
  public:
    struct Limits {
        std::size_t messages_max = 32;
        std::uint64_t octets_max = 4ull << 20;
    };
    struct Message {
        std::size_t item = 0;      // its number
        std::uint64_t octets = 0;  // about
        std::size_t mailbox = 0;   // only those of one mailbox are asked for together
    };

    explicit FetchWindow(Limits limits) : limits_(limits) {}

    // What will be read, in that order.
    void expect(std::vector<Message> messages);
    // What to ask for now that `item` is wanted: itself, unless it is under way, and some of what follows.
    // One by one if `several` is false.
    std::vector<std::size_t> ask(std::size_t item, bool several);
    // What was asked for and is not yet answered, in that order.
    const std::deque<std::size_t>& under_way() const { return under_way_; }
    void answered();  // the first of under_way()

  private:
    const Limits limits_;
    std::vector<Message> expected_;
    std::size_t next_ = 0;  // of expected_: not yet asked for
    std::deque<std::size_t> under_way_;
    std::deque<std::uint64_t> octets_;
    std::uint64_t octets_under_way_ = 0;
};

}  // namespace pier::migrate
