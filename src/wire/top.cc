#include "wire/top.h"

namespace pier::wire {

std::size_t TopCutter::feed(std::string_view block) {
    std::size_t used = 0;
    while (used < block.size() && !done()) {
        const std::size_t lf = block.find('\n', used);
        const bool whole_line = lf != std::string_view::npos;
        if (in_header_) {
            const std::string_view line = block.substr(used, whole_line ? lf - used : lf);
            line_octets_ += line.size();
            if (!line.empty()) last_ = line.back();
            if (whole_line) {
                in_header_ = !(line_octets_ == 0 || (line_octets_ == 1 && last_ == '\r'));
                line_octets_ = 0;
            }
        } else if (whole_line) {
            --lines_left_;
        }
        used = whole_line ? lf + 1 : block.size();
    }
    return used;
}

}  // namespace pier::wire
