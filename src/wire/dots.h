// Dot-stuffing: a message inside a dialogue ends with a line that holds one dot, and its own lines that begin
// with a dot get another in front (RFC 1939 §3, RFC 5321 §4.5.2). Both ways, in streams of any block size.
// Pure; one object per message, one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pier::wire {

// For sending. The pieces handed out are views into the block, or static text: nothing is copied here, so a
// driver may gather them for one write. Valid as long as the block is.
//
//   DotStuffer stuffer;
//   for each block: stuffer.feed(block, [&](std::string_view piece) { out.append(piece); });
//   stuffer.finish(…the same…);
class DotStuffer {
  public:
    // Calls emit(piece) for each piece. A dot behind a bare LF is doubled too: a client that takes LF for a
    // line end must not see the message end there.
    template <class Emit>
    void feed(std::string_view block, Emit&& emit) {
        std::size_t begin = 0;  // not yet emitted
        for (std::size_t dot = block.find('.'); dot != std::string_view::npos;
             dot = block.find('.', dot + 1)) {
            if ((dot == 0 ? last_ : block[dot - 1]) != '\n') continue;
            emit(block.substr(begin, dot + 1 - begin));
            begin = dot;
        }
        if (begin < block.size()) emit(block.substr(begin));
        remember(block);
    }

    // The CRLF that the message lacks at its end, and the line that ends it. An empty message gets the latter
    // alone.
    template <class Emit>
    void finish(Emit&& emit) {
        const bool complete = last_ == '\n' && last_but_one_ == '\r';
        emit(complete ? std::string_view(".\r\n") : std::string_view("\r\n.\r\n"));
    }

  private:
    void remember(std::string_view block) {
        if (block.empty()) return;
        last_but_one_ = block.size() > 1 ? block[block.size() - 2] : last_;
        last_ = block.back();
    }

    char last_but_one_ = '\r', last_ = '\n';  // a message begins at the start of a line
};

// For receiving (DATA). Bare LF becomes CRLF, a lone CR is kept.
//
// SMTP smuggling: only CRLF . CRLF ends the data; neither LF . LF nor CR . CR nor any mixture does, and a dot
// is taken away only behind CRLF.
class DotUnstuffer {
  public:
    // Appends the message's octets to `message`. Returns how many octets of `block` were used: all of them,
    // unless the data has ended inside it (then done() is true, and what is behind is the next command).
    std::size_t feed(std::string_view block, std::string& message);

    bool done() const { return state_ == State::done; }

    // The longest line so far, in octets of the message with its CRLF; counts a line that is still growing.
    std::uint64_t longest_line_octets() const { return std::max(longest_line_octets_, line_octets_); }

  private:
    enum class State { line_start, dot, dot_cr, in_line, done };

    std::size_t feed_line(std::string_view rest, std::string& message);
    void add(std::string_view octets, std::string& message);

    State state_ = State::line_start;
    bool last_was_cr_ = false;
    std::uint64_t line_octets_ = 0, longest_line_octets_ = 0;
};

}  // namespace pier::wire
