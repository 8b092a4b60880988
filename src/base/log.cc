#include "base/log.h"

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <new>

#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/time.h"
#include "base/utf8.h"

namespace pier::log {
namespace {

struct State {
    Options options;
    std::shared_ptr<spdlog::logger> sink;
};

std::mutex state_mutex;

std::shared_ptr<const State>& state() {
    static std::shared_ptr<const State> current = [] {
        auto s = std::make_shared<State>();
        s->sink = std::make_shared<spdlog::logger>("pier", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        s->sink->set_pattern("%v");
        return s;
    }();
    return current;
}

std::shared_ptr<const State> snapshot() {
    std::lock_guard lock(state_mutex);
    return state();
}

std::mutex recent_mutex;
std::deque<std::string> recent;

std::atomic<Level> level_floor{Level::info};

std::string_view level_name(Level level) {
    switch (level) {
        case Level::debug:
            return "debug";
        case Level::info:
            return "info";
        case Level::warning:
            return "warning";
        case Level::error:
            return "error";
    }
    return "error";
}

int journald_priority(Level level) {
    switch (level) {
        case Level::debug:
            return 7;
        case Level::info:
            return 6;
        case Level::warning:
            return 4;
        case Level::error:
            return 3;
    }
    return 3;
}

// Escapes for both formats: what JSON demands, and C1 controls and invalid bytes as \u00XX (a terminal obeys
// C1 too).
void append_escaped(std::string& out, std::string_view text) {
    while (!text.empty()) {
        const unsigned char c = static_cast<unsigned char>(text[0]);
        const std::size_t length = utf8_length(text);
        const bool c1 = length == 2 && c == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
        if (c == '"' || c == '\\') {
            out += '\\';
            out += text[0];
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\r') {
            out += "\\r";
        } else if (c < 0x20 || c == 0x7F || length == 0) {
            out += fmt::format("\\u{:04x}", c);
        } else if (c1) {
            out += fmt::format("\\u{:04x}", static_cast<unsigned char>(text[1]));
        } else {
            out += text.substr(0, length);
        }
        text.remove_prefix(length == 0 ? 1 : length);
    }
}

bool bare(std::string_view text) {
    if (text.empty()) return false;
    for (const char c : text) {
        const unsigned char u = static_cast<unsigned char>(c);
        if (u <= 0x20 || u >= 0x7F || c == '"' || c == '\\' || c == '=') return false;
    }
    return true;
}

void append_quoted(std::string& out, std::string_view text) {
    out += '"';
    append_escaped(out, text);
    out += '"';
}

}  // namespace

std::string format_line(Format format, Level level, std::string_view name, Fields fields,
                        std::string_view time) {
    const bool json = format == Format::json;
    std::string line = json ? "{" : "";
    bool first = true;
    const auto key = [&](std::string_view k) {
        if (!first) line += json ? "," : " ";
        first = false;
        if (json) {
            append_quoted(line, k);
            line += ':';
        } else {
            line += k;
            line += '=';
        }
    };
    const auto text = [&](std::string_view k, std::string_view v) {
        key(k);
        if (!json && bare(v)) {
            line += v;
        } else {
            append_quoted(line, v);
        }
    };
    if (!time.empty()) text("time", time);
    text("level", level_name(level));
    text("event", name);
    for (const Field& field : fields) {
        if (const auto* s = std::get_if<std::string_view>(&field.value)) {
            text(field.key, *s);
            continue;
        }
        key(field.key);
        if (const auto* i = std::get_if<std::int64_t>(&field.value)) line += fmt::format("{}", *i);
        if (const auto* u = std::get_if<std::uint64_t>(&field.value)) line += fmt::format("{}", *u);
        if (const auto* b = std::get_if<bool>(&field.value)) line += *b ? "true" : "false";
    }
    if (json) line += '}';
    return line;
}

bool configure(const Options& options) {
    auto next = std::make_shared<State>();
    next->options = options;
    try {
        spdlog::sink_ptr sink;
        if (options.file.empty()) {
            sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
        } else {
            sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file);
        }
        next->sink = std::make_shared<spdlog::logger>("pier", sink);
        next->sink->set_pattern("%v");
        next->sink->flush_on(spdlog::level::info);
    } catch (const spdlog::spdlog_ex&) {
        return false;
    }
    std::lock_guard lock(state_mutex);
    state() = next;
    level_floor = options.level;
    return true;
}

Options options() {
    return snapshot()->options;
}

std::vector<std::string> recent_lines() {
    std::lock_guard lock(recent_mutex);
    return {recent.begin(), recent.end()};
}

bool enabled(Level level) {
    return level >= level_floor.load(std::memory_order_relaxed);
}

namespace {

void write_event(Level level, std::string_view name, Fields fields) {
    const auto current = snapshot();
    const Options& options = current->options;
    const std::string text =
        format_line(options.format, level, name, fields, options.timestamps ? to_rfc3339(system_now()) : "");
    if (options.recent_lines_max > 0) {
        std::lock_guard lock(recent_mutex);
        recent.push_back(text);
        while (recent.size() > options.recent_lines_max)
            recent.pop_front();
    }
    std::string line;
    if (options.journald) line = fmt::format("<{}>", journald_priority(level));
    line += text;
    current->sink->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

void event(Level level, std::string_view name, Fields fields) {
    if (!enabled(level)) return;
    try {
        write_event(level, name, fields);
    } catch (const std::bad_alloc&) {
        // Without memory a line is lost, not whoever logs.
    }
}

}  // namespace pier::log
