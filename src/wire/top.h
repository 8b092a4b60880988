// The beginning of a message, as TOP sends it: the header, the empty line, and so many lines of the body (RFC
// 1939 §7). Streams; pure; one object per message, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pier::wire {

class TopCutter {
  public:
    // `body_lines`: 0 gives the header and the empty line. A message without an empty line is all header.
    explicit TopCutter(std::uint64_t body_lines) : lines_left_(body_lines) {}

    // How many octets at the beginning of `block` belong to it; all of them until done() becomes true, then
    // none.
    std::size_t feed(std::string_view block);

    bool done() const { return !in_header_ && lines_left_ == 0; }

  private:
    std::uint64_t lines_left_;
    bool in_header_ = true;
    std::uint64_t line_octets_ = 0;  // of the header line so far, without its LF
    char last_ = 0;
};

}  // namespace pier::wire
