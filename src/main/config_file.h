// Reads the configuration file (TOML 1.0) into a Config. All that is wrong is told at once, each with file,
// line and column, the cause, and what to write instead. Nothing here looks at the machine: that is
// config_check.h.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "main/config.h"

namespace pier::program {

inline constexpr std::string_view default_config_file = "/etc/pier/pier.toml";

struct Place {
    std::string file;
    unsigned line = 0, column = 0;  // from 1; 0: the file as a whole
    std::string text() const;       // "/etc/pier/pier.toml:12:3"
};

enum class Severity { warning, error };

struct Problem {
    Severity severity{};
    Place place;
    std::string text;
};

struct Loaded {
    Config config;
    std::vector<Problem> problems;  // in the order of the file
    Place file;
    bool was_read = true;                              // false: there was no file to read, or it is absurd
    std::map<std::string, Place, std::less<>> places;  // "store", "store.purge_after", "listener[1].port"

    bool usable() const;  // no errors (warnings may be there)
    // Where a key stands; if it is not in the file where its section begins; else the file.
    Place place(std::string_view section, std::string_view key) const;
    Place listener_place(std::size_t index, std::string_view key) const;
    void add(Severity severity, Place place, std::string text);
};

// A file that cannot be read is one error; the configuration is then the defaults.
Loaded load_config(const std::string& path);
// `file` names the text in messages; relative paths in it are taken from its folder.
Loaded parse_config(std::string_view text, const std::string& file);
Loaded default_config();

}  // namespace pier::program
