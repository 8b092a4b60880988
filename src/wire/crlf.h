// Line ends as mail travels (RFC 5322 §2.3): a bare LF becomes CRLF; CRLF and a lone CR stay. Streams; pure;
// one object per message, one thread.
#pragma once

#include <string>
#include <string_view>

namespace pier::wire {

class CrlfNormalizer {
  public:
    // Appends the normalized octets to `message`. Blocks may be cut anywhere, also inside a CRLF.
    void feed(std::string_view block, std::string& message);

    // At the end: appends the CRLF that the last line lacks, unless the message is empty.
    void finish(std::string& message);

  private:
    bool last_was_cr_ = false;
    bool at_line_start_ = true;
};

}  // namespace pier::wire
