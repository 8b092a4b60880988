// Replies as they stand on the wire (RFC 5321 §4.2, RFC 2034 §4). Pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "smtp/session.h"

namespace pier::smtp {

// "250 2.1.5 text\r\n". Control characters become '?' (attack: a name with a line end in it would write
// replies of its own), and the line is cut at 512 octets (RFC 5321 §4.5.3.1.5).
void append_reply(std::string& out, const Reply& reply);

// "250-first\r\n250 last\r\n", without enhanced codes; for LHLO.
void append_lines(std::string& out, int code, std::span<const std::string> lines);

}  // namespace pier::smtp
