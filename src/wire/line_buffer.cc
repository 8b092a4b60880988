#include "wire/line_buffer.h"

#include <cassert>

#include <openssl/crypto.h>

namespace pier::wire {

void LineBuffer::append(std::string_view octets) {
    if (discarding_) {
        const std::size_t lf = octets.find('\n');
        if (lf == std::string_view::npos) return;
        octets.remove_prefix(lf + 1);
        discarding_ = false;
    }
    give_back();
    octets_.append(octets);
}

std::optional<LineBuffer::Line> LineBuffer::next_line(std::size_t octets_max) {
    discard_to_line_end();
    const std::size_t lf = octets_.find('\n', scanned_);
    if (lf != std::string::npos && lf + 1 - begin_ <= octets_max) {
        const bool bare_lf = lf == begin_ || octets_[lf - 1] != '\r';
        const std::size_t end = bare_lf ? lf : lf - 1;
        const Line line{std::string_view(octets_).substr(begin_, end - begin_), bare_lf, false};
        last_line_ = begin_;
        begin_ = scanned_ = lf + 1;
        return line;
    }
    // Without an LF the line needs one octet more than is here.
    if (lf != std::string::npos || octets_.size() - begin_ >= octets_max) {
        discarding_ = true;
        discard_to_line_end();
        last_line_ = begin_;
        return Line{{}, false, true};
    }
    scanned_ = octets_.size();
    give_back();
    return std::nullopt;
}

void LineBuffer::wipe_last_line() {
    assert(last_line_ <= begin_);
    OPENSSL_cleanse(octets_.data() + last_line_, begin_ - last_line_);
    last_line_ = begin_;
}

void LineBuffer::consume(std::size_t count) {
    assert(count <= octets_.size() - begin_);
    begin_ += count;
    scanned_ = last_line_ = begin_;
    if (begin_ == octets_.size()) give_back();
}

void LineBuffer::clear() {
    begin_ = octets_.size();
    give_back();
    discarding_ = false;
}

void LineBuffer::discard_to_line_end() {
    if (!discarding_) return;
    const std::size_t lf = octets_.find('\n', begin_);
    begin_ = lf == std::string::npos ? octets_.size() : lf + 1;
    discarding_ = lf == std::string::npos;
    scanned_ = last_line_ = begin_;
    if (begin_ == octets_.size()) give_back();
}

// Drops what is used up; the rest moves to a string of its own size, so that a half line does not keep a
// block's memory.
void LineBuffer::give_back() {
    if (begin_ == 0) return;
    octets_.substr(begin_).swap(octets_);  // an assignment would keep the memory
    scanned_ = scanned_ > begin_ ? scanned_ - begin_ : 0;
    begin_ = last_line_ = 0;
}

}  // namespace pier::wire
