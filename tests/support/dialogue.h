// Dialogue scripts: a protocol session as an RFC would show it, one step a line
// (tests/scripts/<protocol>/*.txt).
//
//   # a comment                 skipped, as are empty lines
//   C: RETR 1                   what the client sends, with CRLF behind it
//   C: half a command \         a lone backslash at the end: no CRLF
//   S: +OK 120 octets           what the server must send: this line exactly, with CRLF
//   S: ~\+OK [0-9]+ octets      a pattern (ECMAScript) that must match the whole line
//   ! message "a b" c           a directive for whoever runs the script, in words; "quotes" keep spaces
//
// Escapes, in C:, in exact S: and in quoted words: \r \n \t \0 \\ \" \xHH. Used by the tests and by tools;
// any thread.
#pragma once

#include <filesystem>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace pier::test {

struct Step {
    enum class Kind { client, server, directive } kind{};
    int line = 0;                    // in the script, from 1
    std::string text;                // client: the octets; server: the line without CRLF, or the pattern
    bool is_pattern = false;         // server
    std::vector<std::string> words;  // directive: its name and arguments

    // For a server step: is `reply` (without CRLF) what is expected?
    bool matches(std::string_view reply) const;
};

struct Dialogue {
    std::string name;  // the file's name without its ending
    std::vector<Step> steps;

    bool has_directive(std::string_view name) const;
};

// Throws std::runtime_error that names file and line if the script is malformed: a test must not pass because
// its script was misread.
Dialogue load_dialogue(const std::filesystem::path& path);
Dialogue parse_dialogue(std::string_view script, std::string name);

// The scripts in a folder under tests/scripts, sorted by name; throws if there is none. For
// INSTANTIATE_TEST_SUITE_P.
std::vector<std::filesystem::path> dialogue_paths(std::string_view folder);

// "some_name" from ".../some-name.txt", as GoogleTest wants test names.
std::string dialogue_test_name(const std::filesystem::path& path);

}  // namespace pier::test
