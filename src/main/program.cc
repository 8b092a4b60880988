#include "main/program.h"

#include <algorithm>

#include <boost/json/serialize.hpp>
#include <boost/system/system_error.hpp>
#include <fmt/format.h>
#include <sys/stat.h>

#include "main/commands/commands.h"
#include "main/commands/doctor.h"
#include "main/suggestion.h"

namespace pier::program {
namespace {

bool file_exists(const std::string& file) {
    struct stat status {};
    return stat(file.c_str(), &status) == 0;
}

std::string full_name(const CLI::App& command) {
    const CLI::App* parent = command.get_parent();
    return parent ? full_name(*parent) + " " + command.get_name() : command.get_name();
}

}  // namespace

Program::Program(Terminal& terminal)
    : terminal_(terminal), app_("A mail server: POP3 and LMTP on a durable store.", "pier") {
    app_.fallthrough();
    app_.require_subcommand(1);
    app_.set_version_flag("--version", PIER_VERSION, "Print the version.");
    app_.get_help_ptr()->description("Print help on a command.");
    config_option_ = app_.add_option("--config", config_file_, "The configuration file.")
                         ->type_name("FILE")
                         ->capture_default_str();
    app_.add_flag("--json", json_, "Print one JSON value in place of text.");
    define_server_commands(*this);
    define_config_commands(*this);
    define_account_commands(*this);
    define_address_commands(*this);
    define_mail_commands(*this);
    define_migrate_commands(*this);
    define_undelete_command(*this);
    define_store_commands(*this);
    define_guard_commands(*this);
    define_queue_commands(*this);
    define_tls_commands(*this);
    define_probe_command(*this);
    define_watch_command(*this);
    define_alert_commands(*this);
    define_ports_command(*this);
    define_history_command(*this);
    define_doctor_command(*this);
    define_text_commands(*this);
}

CLI::App* Program::command(CLI::App& parent, std::string name, std::string help, Action action) {
    CLI::App* added = parent.add_subcommand(std::move(name), std::move(help));
    added->fallthrough();
    added->get_help_ptr()->description("Print this help.");
    if (action) {
        added->final_callback([this, action = std::move(action)] { chosen_ = action; });
    } else {
        added->require_subcommand(1);
    }
    return added;
}

const Loaded& Program::loaded() {
    if (loaded_) return *loaded_;
    // Without a file at the usual place the defaults hold; a file that was named must be there.
    const bool named = config_option_->count() > 0;
    loaded_ = named || file_exists(config_file_) ? load_config(config_file_) : default_config();
    return *loaded_;
}

Result<const Config*> Program::config() {
    const Loaded& all = loaded();
    if (all.usable()) return &all.config;
    std::string text;
    for (const Problem& problem : all.problems) {
        if (problem.severity == Severity::error)
            text += fmt::format("{}: {}\n", problem.place.text(), problem.text);
    }
    return Error(ErrorKind::invalid,
                 text + "the configuration has errors; correct them, then run \"pier check\"");
}

Result<Backend*> Program::backend() {
    if (!backend_) {
        const auto values = config();
        if (!values) return values.error();
        auto opened = open_backend(**values);
        if (!opened) return opened.error();
        backend_ = std::move(*opened);
    }
    return backend_.get();
}

Result<boost::json::value> Program::call(std::string_view method, boost::json::object params,
                                         std::string_view body) {
    const auto opened = backend();
    if (!opened) return opened.error();
    return (*opened)->call(method, std::move(params), body);
}

void Program::say(std::string_view text, const boost::json::value& value) {
    if (json_) {
        terminal_.out << boost::json::serialize(value) << '\n';
    } else {
        terminal_.out << text;
    }
}

int Program::tell(const Error& error) {
    if (json_) {
        const boost::json::object object{{"error", {{"kind", to_string(error.kind)}, {"text", error.text}}}};
        terminal_.out << boost::json::serialize(object) << '\n';
    } else {
        terminal_.err << "pier: " << error.text << '\n';
    }
    return loaded_ && !loaded_->usable() ? exit_code::wrong : exit_code::failed;
}

const CLI::App& Program::deepest() const {
    const CLI::App* command = &app_;
    for (auto chosen = command->get_subcommands(); !chosen.empty(); chosen = command->get_subcommands())
        command = chosen.front();
    return *command;
}

int Program::tell_parse_error(const CLI::ParseError& error) {
    const CLI::App& command = deepest();
    if (error.get_exit_code() == 0) {  // --help, --version
        terminal_.out << (error.get_name() == "CallForVersion" ? fmt::format("pier {}\n", error.what())
                                                               : app_.help());
        return exit_code::fine;
    }
    std::string text = error.what();
    if (const std::vector<std::string> extra = app_.remaining(true); !extra.empty()) {
        const auto children = command.get_subcommands(
            std::function<bool(const CLI::App*)>([](const CLI::App*) { return true; }));
        std::vector<std::string> names;
        for (const CLI::App* child : children)
            names.push_back(child->get_name());
        for (const CLI::Option* option : command.get_options()) {
            for (const std::string& name : option->get_lnames())
                names.push_back("--" + name);
        }
        const std::vector<std::string_view> known(names.begin(), names.end());
        const std::string_view near = nearest(extra.front(), known);
        text = fmt::format("\"{}\" is not known here{}", extra.front(),
                           near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
    }
    terminal_.err << fmt::format("pier: {}\nSee \"{} --help\".\n", text, full_name(command));
    return exit_code::wrong;
}

int Program::run(std::vector<std::string> arguments) {
    // To a monitoring system 2 would mean that the server is in a critical state.
    const bool is_plug_in = std::ranges::find(arguments, "--nagios") != arguments.end();
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants it
    try {
        app_.parse(std::move(arguments));
    } catch (const CLI::ParseError& error) {
        const int code = tell_parse_error(error);
        return is_plug_in && code != exit_code::fine ? exit_code::unknown : code;
    }
    try {
        const auto done = chosen_();
        return done ? *done : tell(done.error());
    } catch (const boost::system::system_error& error) {
        // Boost.JSON's, when an answer lacks a member or has another type.
        return tell(Error(
            ErrorKind::io,
            fmt::format("the server's answer is not understood ({}); is it of another version than \"pier "
                        "--version\"? Restart it",
                        error.what())));
    }
}

int run_program(std::vector<std::string> arguments, Terminal& terminal) {
    return Program(terminal).run(std::move(arguments));
}

}  // namespace pier::program
