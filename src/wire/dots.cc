#include "wire/dots.h"

namespace pier::wire {

std::size_t DotUnstuffer::feed(std::string_view block, std::string& message) {
    std::size_t used = 0;
    while (used < block.size() && state_ != State::done) {
        const char c = block[used];
        switch (state_) {
            case State::line_start:
                state_ = c == '.' ? State::dot : State::in_line;
                used += c == '.';
                break;
            case State::dot:  // the dot is dropped, unless it proves to be the end
                state_ = c == '\r' ? State::dot_cr : State::in_line;
                used += c == '\r';
                break;
            case State::dot_cr:
                if (c == '\n') {
                    state_ = State::done;
                    ++used;
                } else {
                    add("\r", message);
                    last_was_cr_ = true;
                    state_ = State::in_line;
                }
                break;
            case State::in_line:
                used += feed_line(block.substr(used), message);
                break;
            case State::done:
                break;
        }
    }
    return used;
}

// Up to and with the next LF.
std::size_t DotUnstuffer::feed_line(std::string_view rest, std::string& message) {
    const std::size_t lf = rest.find('\n');
    const std::string_view line = rest.substr(0, lf);  // all of it, if there is none
    add(line, message);
    if (!line.empty()) last_was_cr_ = line.back() == '\r';
    if (lf == std::string_view::npos) return rest.size();

    add(last_was_cr_ ? "\n" : "\r\n", message);
    longest_line_octets_ = longest_line_octets();
    line_octets_ = 0;
    // SMTP smuggling: what follows a bare LF is not at the start of a line.
    state_ = last_was_cr_ ? State::line_start : State::in_line;
    last_was_cr_ = false;
    return lf + 1;
}

void DotUnstuffer::add(std::string_view octets, std::string& message) {
    message.append(octets);
    line_octets_ += octets.size();
}

}  // namespace pier::wire
