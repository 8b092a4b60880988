// How many servers a message has passed: its Received fields (RFC 5321 §6.3), so that one that goes round in
// circles is stopped. Streams; pure; one object per message, one thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pier::smtp {

class HopCounter {
  public:
    // Octets of the message, its lines ending in CRLF. Nothing is looked at behind its header.
    void feed(std::string_view octets);

    std::size_t hops() const { return hops_; }

  private:
    std::string begun_;  // the first octets of a line, as far as they matter
    bool in_line_ = false, over_ = false;
    std::size_t hops_ = 0;
};

}  // namespace pier::smtp
