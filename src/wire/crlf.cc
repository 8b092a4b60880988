#include "wire/crlf.h"

#include <cstddef>

namespace pier::wire {

void CrlfNormalizer::feed(std::string_view block, std::string& message) {
    std::size_t begin = 0;  // not yet appended
    for (std::size_t lf = block.find('\n'); lf != std::string_view::npos; lf = block.find('\n', lf + 1)) {
        if (lf == 0 ? last_was_cr_ : block[lf - 1] == '\r') continue;
        message.append(block.substr(begin, lf - begin)).append("\r\n");
        begin = lf + 1;
    }
    message.append(block.substr(begin));
    if (!block.empty()) {
        last_was_cr_ = block.back() == '\r';
        at_line_start_ = block.back() == '\n';
    }
}

void CrlfNormalizer::finish(std::string& message) {
    if (!at_line_start_) message.append("\r\n");
}

}  // namespace pier::wire
