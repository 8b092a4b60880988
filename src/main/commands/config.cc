// pier check, pier config sample|show
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "main/commands/commands.h"
#include "main/config_check.h"
#include "main/config_text.h"

namespace pier::program {
namespace {

std::string_view name_of(Severity severity) {
    return severity == Severity::error ? "error" : "warning";
}

boost::json::object to_json(const Problem& problem) {
    return {{"severity", name_of(problem.severity)},
            {"file", problem.place.file},
            {"line", problem.place.line},
            {"column", problem.place.column},
            {"text", problem.text}};
}

int check(Program& program) {
    Loaded loaded = program.loaded();
    if (loaded.was_read) check_machine(loaded);
    std::string text;
    boost::json::array list;
    for (const Problem& problem : loaded.problems) {
        text += fmt::format("{}: {}: {}\n", problem.place.text(), name_of(problem.severity), problem.text);
        list.push_back(to_json(problem));
    }
    const bool clean = loaded.problems.empty();
    if (clean) text = fmt::format("{}: fine\n", loaded.file.file);
    program.say(text, boost::json::object{
                          {"file", loaded.file.file}, {"usable", loaded.usable()}, {"problems", list}});
    if (!loaded.usable()) return exit_code::wrong;
    return clean ? exit_code::fine : exit_code::failed;
}

Result<int> show(Program& program) {
    const auto config = program.config();
    if (!config) return config.error();
    program.say(show_config(**config), config_to_json(**config));
    return exit_code::fine;
}

}  // namespace

void define_config_commands(Program& program) {
    CLI::App* checks = program.command(program.app(), "check",
                                       "Tell everything that is wrong with the configuration, and where.",
                                       [&program]() -> Result<int> { return check(program); });
    checks->footer("Exits 0 when all is well, 1 with warnings only, 2 with errors.");
    CLI::App* group = program.command(program.app(), "config", "Print configurations.", nullptr);
    program.command(*group, "sample", "Print a file with every key, its help and its default.",
                    [&program]() -> Result<int> {
                        Config defaults;
                        finish(defaults);
                        program.say(sample_config(), config_to_json(defaults));
                        return exit_code::fine;
                    });
    program.command(*group, "show", "Print all values that are in force, as a configuration file.",
                    [&program] { return show(program); });
}

}  // namespace pier::program
