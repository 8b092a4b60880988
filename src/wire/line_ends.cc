#include "wire/line_ends.h"

namespace pier::wire {

void LineEnds::feed(std::string_view block) {
    if (bare_ || block.empty()) return;
    if (last_was_cr_ && block.front() != '\n') bare_ = true;
    for (std::size_t lf = block.find('\n'); lf != std::string_view::npos; lf = block.find('\n', lf + 1))
        if (lf == 0 ? !last_was_cr_ : block[lf - 1] != '\r') bare_ = true;
    for (std::size_t cr = block.find('\r'); cr != std::string_view::npos; cr = block.find('\r', cr + 1))
        if (cr + 1 < block.size() && block[cr + 1] != '\n') bare_ = true;
    last_was_cr_ = block.back() == '\r';
}

}  // namespace pier::wire
