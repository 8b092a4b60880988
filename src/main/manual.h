// The manual page pier(1) and the shells' completions, made from the definitions of the commands and the
// table of the configuration: what the program can do is written once. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace pier::program {

struct OptionInfo {
    std::string names;               // "--quota SIZE", or "ACCOUNT" for one without dashes
    std::vector<std::string> flags;  // "--quota"; empty for one without dashes
    std::vector<std::string> words;  // what it may be, if only some words
    bool takes_file = false;
    bool takes_value = false;
    bool required = false;
    bool repeated = false;
    std::string help;
};

struct CommandInfo {
    std::string name;  // "pier account add"
    std::string help, footer;
    std::vector<OptionInfo> options;
    std::vector<CommandInfo> children;
};

CommandInfo describe(const CLI::App& app);

// Roff, for man(1).
std::string manual_page(const CommandInfo& root, std::string_view version);

// A script for the shell to read; `shell` is bash, zsh or fish.
std::string completion_script(const CommandInfo& root, std::string_view shell);

}  // namespace pier::program
