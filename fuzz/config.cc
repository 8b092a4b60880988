// The configuration file, from its text to the problems that are told: what is in force can be shown, and
// what is shown loads to the same; a problem is one line of text at a place of the file. Input: the file. Its
// lines are also taken for sizes and durations.
#include <algorithm>
#include <string>

#include "fuzz/require.h"
#include "main/config_file.h"
#include "main/config_text.h"
#include "main/quantity.h"

namespace {

using namespace pier;
using namespace pier::program;
using fuzz::require;

constexpr const char* file = "/etc/pier/pier.toml";

void check_problems(const Loaded& loaded, std::string_view text) {
    const auto lines = static_cast<unsigned>(std::ranges::count(text, '\n')) + 1;
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    Place before;
    for (const Problem& problem : loaded.problems) {
        require(!problem.text.empty(), "a problem is told");
        // A terminal obeys escape sequences, and a line end would forge another problem.
        require(std::ranges::none_of(problem.text, control), "a problem is one line of text");
        require(problem.place.file == file && problem.place.line <= lines + 1, "a problem has a place");
        require(before.line <= problem.place.line, "problems come in the order of the file");
        before = problem.place;
    }
}

void check_quantities(std::string_view line) {
    if (const auto octets = parse_octets(line)) {
        require(fuzz::gives(parse_octets(format_octets(*octets)), *octets), "a size is shown exactly");
        require(!about_octets(*octets).empty(), "a size can be shown");
    }
    if (const auto seconds = parse_duration(line))
        require(fuzz::gives(parse_duration(format_duration(*seconds)), *seconds),
                "a duration is shown exactly");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::text_of(data, size);
    const Loaded loaded = parse_config(text, file);
    check_problems(loaded, text);
    require(!loaded.config.listeners.empty(), "somebody listens");
    if (loaded.usable()) {
        const std::string shown = show_config(loaded.config);
        const Loaded again = parse_config(shown, file);
        require(again.usable(), "what is shown can be loaded");
        require(show_config(again.config) == shown, "and means the same");
        const boost::json::object told = config_to_json(loaded.config);
        for (const Section& section : sections()) {
            const std::string_view name = section.name, outer = name.substr(0, name.find('.'));
            const boost::json::value* value = told.if_contains(outer);
            if (value != nullptr && outer != name)
                value = value->as_object().if_contains(name.substr(outer.size() + 1));
            require(value != nullptr, "all of it can be told to programs");
        }
    }
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        check_quantities(line);
    }
    return 0;
}
