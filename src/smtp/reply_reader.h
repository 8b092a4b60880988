// Reads the replies of an SMTP server (RFC 5321 §4.2), with enhanced codes (RFC 2034, RFC 3463). The server
// is a stranger: lines, their number and the text that is kept are bounded, and the text is made printable.
// Pure; one thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/session.h"
#include "wire/line_buffer.h"

namespace pier::smtp {

struct ReplyLimits {
    std::size_t line_octets_max = 2048;  // RFC 5321 §4.5.3.1.5 says 512
    std::size_t lines_max = 100;         // EHLO of a server with many extensions has thirty
    std::size_t text_octets_max = 1000;  // of what is kept for people; the rest is left out
};

class ReplyReader {
  public:
    explicit ReplyReader(const ReplyLimits& limits) : limits_(limits) {}

    void append(std::string_view octets) { in_.append(octets); }
    // Nothing has come that was not yet handed out: the octets in clear end here (RFC 3207 §4.2).
    bool empty() const { return in_.empty() && code_ == 0; }

    // The next whole reply; absent: more input is needed, or broken() says why there will be none. `text` is
    // without the enhanced code, its lines joined by blanks.
    std::optional<Reply> next();
    // The lines behind the codes of the reply handed out last, as they came: those of EHLO.
    const std::vector<std::string>& lines() const { return lines_; }

    // Why this is no SMTP; empty: it is.
    const std::string& broken() const { return broken_; }

  private:
    bool take_line(std::string_view line);
    Reply whole() const;

    const ReplyLimits limits_;
    wire::LineBuffer in_;
    std::vector<std::string> lines_;
    int code_ = 0;  // of the reply whose lines are being read; 0: none
    std::string broken_;
};

// "5.1.1" at the front of `text`, if it is an enhanced code that goes with `code`, and a blank or nothing
// behind it; then `text` is what follows. Empty: there is none.
std::string take_enhanced_code(int code, std::string_view& text);

}  // namespace pier::smtp
