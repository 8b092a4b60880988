// One question over a connection of its own, from start to end. Blocks, until the deadline at the latest; a
// thread of the filter's.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "filter/filter.h"

namespace pier::filter {

// `io`: no connection, a time-out, a reply that is no verdict; the text says which.
Result<Verdict> ask_rspamd(const std::string& server, const Question& question, std::uint64_t octets,
                           const Filter::Read& read, std::chrono::steady_clock::time_point deadline);

}  // namespace pier::filter
