// The POP3 commands as a table, and a command line taken apart. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace pier::pop3 {

class Conversation;

// What stands behind the verb.
struct Arguments {
    std::array<std::string_view, 2> words;
    std::size_t count = 0;

    std::string_view operator[](std::size_t i) const { return words[i]; }
};

// The states that allow a command (RFC 1939 §3); a set of bits.
using States = unsigned;
inline constexpr States in_authorization = 1, in_transaction = 2, in_both = 3;

// Instead of args_max: the rest of the line is one argument, spaces and all.
inline constexpr std::size_t rest_of_line = SIZE_MAX;

struct Command {
    std::string_view verb;
    std::string_view usage;  // the arguments as -ERR shows them
    States states;
    std::size_t args_min, args_max;
    void (Conversation::*run)(const Arguments& arguments);
    std::string_view reference;
};

std::span<const Command> commands();

// The command that a line names, in any case; null if there is none of that name.
const Command* find_command(std::string_view line);

// The arguments of a line that find_command has found `command` in; absent if there are too few or too many.
// They are views into the line.
std::optional<Arguments> split_arguments(const Command& command, std::string_view line);

// A decimal number (RFC 1939 §3: digits only, no sign); absent if it is anything else or does not fit.
std::optional<std::uint64_t> parse_number(std::string_view word);

}  // namespace pier::pop3
