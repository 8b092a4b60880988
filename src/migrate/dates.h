// Dates in mail and mailbox files. Pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "base/time.h"

namespace pier::migrate {

// The first date and time in a text, in the form of RFC 5322 §3.3 ("3 Jan 1996 01:05:34 +0100") or of asctime
// ("Sat Jan  3 01:05:34 1996", with a zone before or behind the year). A zone that is a name other than UT,
// GMT or those of RFC 5322 §4.3 counts as UTC. Absent if there is none, or none since 1970.
std::optional<Time> find_date(std::string_view text);

// The From_ line that separates the messages of an mbox file (RFC 4155, Appendix A).
struct FromLine {
    std::optional<Time> date;
};

// Absent if `line` is not one: it must begin with "From " and have a date; "From " alone and "From -" are
// From_ lines too, as Thunderbird writes them.
std::optional<FromLine> parse_from_line(std::string_view line);

// When the message was received, by its first Received field, else by its Date field (RFC 5322 §3.6). `head`:
// the message's start, with or without its body.
std::optional<Time> date_of_header(std::string_view head);

}  // namespace pier::migrate
