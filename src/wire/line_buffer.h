// Gathers the octets of a connection and hands out whole lines, up to a limit that may change from line to
// line, or the raw octets where a protocol asks for them (DATA, BDAT). Owned by a protocol session; one
// thread. While it is empty it holds no memory, so an idle connection stays small.
//
//   buffer.append(octets);
//   while (auto line = buffer.next_line(512)) …
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace pier::wire {

class LineBuffer {
  public:
    struct Line {
        // Without its line end; valid until the next call of a function that is not const.
        std::string_view text;
        // liberal: it ended with LF alone, as hand-typed dialogues and some scripts do.
        bool bare_lf = false;
        // It passed the limit: `text` is empty, and its rest is thrown away up to the next LF.
        bool too_long = false;
    };

    // `octets` are copied, except those of a line already known to be too long.
    void append(std::string_view octets);

    // The next line whose octets together with its line end are at most `octets_max` (1 or more); absent if
    // more input is needed. A line that cannot fit is told at once, one time, and never held: a line without
    // end costs no memory.
    std::optional<Line> next_line(std::size_t octets_max);

    // Overwrites the line handed out last (a password). Call it before any other function; the line's text is
    // gone then.
    void wipe_last_line();

    // What is buffered behind the lines handed out. Valid until the next call of a function that is not
    // const.
    std::string_view raw() const { return std::string_view(octets_).substr(begin_); }
    void consume(std::size_t count);  // at most raw().size()

    // True if nothing is buffered, and no line is half thrown away: STLS may proceed.
    bool empty() const { return begin_ == octets_.size() && !discarding_; }
    void clear();

    std::size_t memory_octets() const { return octets_.capacity(); }  // for tests

  private:
    void discard_to_line_end();
    void give_back();

    std::string octets_;
    std::size_t begin_ = 0;      // octets before it are used up
    std::size_t scanned_ = 0;    // no LF in [begin_, scanned_)
    std::size_t last_line_ = 0;  // where the line handed out last begins
    bool discarding_ = false;    // inside a line that was too long
};

}  // namespace pier::wire
