// The pier program: its commands, and what one run of it shares between parsing and doing. main() calls
// run_program(). One thread.
//
// Every command works on the running server, over its management socket, and on the store itself when no
// server runs: see backend.h. Its definition stands in commands/; --help, the manual page and the shells'
// completions are made from it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/json/value.hpp>

#include "base/result.h"
#include "main/backend.h"
#include "main/config_file.h"
#include "main/terminal.h"

namespace pier::program {

// What the process returns; the manual page lists them. `pier deliver` has sysexits(3) of its own.
namespace exit_code {
inline constexpr int fine = 0;
inline constexpr int failed = 1;   // the command could not be done; `check`: warnings
inline constexpr int wrong = 2;    // wrong use, or a configuration with errors
inline constexpr int unknown = 3;  // of a monitoring plug-in (`pier probe --nagios`): nothing was found out
}  // namespace exit_code

class Program {
  public:
    explicit Program(Terminal& terminal);

    CLI::App& app() { return app_; }
    Terminal& terminal() { return terminal_; }
    bool json() const { return json_; }

    // What the chosen command does: the exit code, or an error that is then told.
    using Action = std::function<Result<int>()>;

    // A command below `parent`. `action` is done when it was chosen.
    CLI::App* command(CLI::App& parent, std::string name, std::string help, Action action);

    // The configuration, read once. config() fails when loaded() holds errors.
    const Loaded& loaded();
    Result<const Config*> config();

    // The running server or the store itself; opened once.
    Result<Backend*> backend();
    // backend() and one call of it.
    Result<boost::json::value> call(std::string_view method, boost::json::object params,
                                    std::string_view body = {});

    // Prints `value` if --json was given, else `text` (with its line end).
    void say(std::string_view text, const boost::json::value& value);

    int run(std::vector<std::string> arguments);

  private:
    int tell(const Error& error);
    int tell_parse_error(const CLI::ParseError& error);
    const CLI::App& deepest() const;

    Terminal& terminal_;
    CLI::App app_;
    bool json_ = false;
    std::string config_file_{default_config_file};
    CLI::Option* config_option_ = nullptr;
    Action chosen_;
    std::optional<Loaded> loaded_;
    std::unique_ptr<Backend> backend_;
};

int run_program(std::vector<std::string> arguments, Terminal& terminal);

}  // namespace pier::program
