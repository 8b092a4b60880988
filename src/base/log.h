// The log: one line per event, logfmt or JSON, to stderr (journald reads the <n> prefix) or a file.
//   log::info("pop3.login", {{"user", user}, {"ms", elapsed_ms}});
// prints  time=… level=info event=pop3.login user=ada ms=3
// Any thread may log. Values are escaped: CR, LF, other control characters and invalid UTF-8 never reach the
// file raw (attack: forged log lines). Secrets are never passed in, at any level.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pier::log {

enum class Level { debug, info, warning, error };
enum class Format { logfmt, json };

struct Field {
    std::string_view key;
    std::variant<std::string_view, std::int64_t, std::uint64_t, bool> value;

    Field(std::string_view k, std::string_view v) : key(k), value(v) {}
    Field(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
    Field(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
    Field(std::string_view k, bool v) : key(k), value(v) {}
    template <std::signed_integral T>
    Field(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}
    template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>) Field(std::string_view k, T v)
        : key(k), value(static_cast<std::uint64_t>(v)) {}
};
using Fields = std::initializer_list<Field>;

struct Options {
    Level level = Level::info;
    Format format = Format::logfmt;
    std::string file;                  // empty: stderr
    bool journald = false;             // put "<6>" priorities in front of each line
    bool timestamps = true;            // journald adds its own
    std::size_t recent_lines_max = 0;  // kept in memory for recent_lines()
};

// Sets the process's log up; may be called again (reload). Not while other threads are logging their first
// line. False if the file cannot be opened; the log then stays as it was.
bool configure(const Options& options);

// What was configured last.
Options options();

// The last lines, oldest first; at most Options::recent_lines_max.
std::vector<std::string> recent_lines();

bool enabled(Level level);
void event(Level level, std::string_view name, Fields fields);

inline void debug(std::string_view name, Fields fields = {}) {
    event(Level::debug, name, fields);
}
inline void info(std::string_view name, Fields fields = {}) {
    event(Level::info, name, fields);
}
inline void warning(std::string_view name, Fields fields = {}) {
    event(Level::warning, name, fields);
}
inline void error(std::string_view name, Fields fields = {}) {
    event(Level::error, name, fields);
}

// One line without its line end, as event() writes it; for tests.
std::string format_line(Format format, Level level, std::string_view name, Fields fields,
                        std::string_view time);

}  // namespace pier::log
