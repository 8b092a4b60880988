// Where a command reads and writes: the process's own streams, or strings in a test. One thread.
#pragma once

#include <istream>
#include <ostream>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pier::program {

struct Terminal {
    std::istream& in;
    std::ostream& out;   // what was asked for
    std::ostream& err;   // messages, questions, progress
    bool asks = false;   // a person sits at `in`: questions may be asked
    bool draws = false;  // a person reads `err`: progress may be drawn
};

// The process's standard streams.
Terminal standard_terminal();

// A password for `whom`. A person types it twice and does not see it; else it is the first line of `in`.
// Fails with `invalid` when there is none or the two differ.
Result<std::string> ask_password(Terminal& terminal, std::string_view whom);

// A password that somebody already has: typed once.
Result<std::string> ask_present_password(Terminal& terminal, std::string_view whom);

// The first line of a file ("-": of `in`), for passwords and hashes. Its line end is not part of it.
Result<std::string> read_secret_file(Terminal& terminal, const std::string& file);

// True when a person answers with yes. Not to be called unless terminal.asks.
bool confirm(Terminal& terminal, std::string_view question);

}  // namespace pier::program
