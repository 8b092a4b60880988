// Whether some line of a text ends otherwise than with CRLF: a CR or LF that stands alone, which SMTP forbids
// (RFC 5321 §2.3.8). Streams; pure; one object per message, one thread.
#pragma once

#include <string_view>

namespace pier::wire {

class LineEnds {
  public:
    void feed(std::string_view block);
    void finish() { bare_ = bare_ || last_was_cr_; }  // at the end: a CR that stands last

    bool bare() const { return bare_; }

  private:
    bool last_was_cr_ = false, bare_ = false;
};

}  // namespace pier::wire
