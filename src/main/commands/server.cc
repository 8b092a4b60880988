// pier serve, status, metrics, reload, acme status|renew, drain, log level|tail
#include <chrono>
#include <thread>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "main/commands/commands.h"
#include "main/quantity.h"
#include "main/serve.h"

namespace pier::program {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds follow_pause{500};
constexpr std::chrono::milliseconds drain_pause{200};

Result<int> serve_command(Program& program) {
    const auto config = program.config();
    if (!config) return config.error();
    for (const Problem& problem : program.loaded().problems)
        program.terminal().err << fmt::format("{}: warning: {}\n", problem.place.text(), problem.text);
    return serve(**config, program.loaded().file.file);
}

// A call that makes sense only while a server runs.
Result<json::value> call_server(Program& program, std::string_view method, json::object params = {}) {
    const auto config = program.config();
    if (!config) return config.error();
    const auto runs = server_runs(**config);
    if (!runs) return runs.error();
    if (!*runs)
        return Error(
            ErrorKind::not_found,
            fmt::format("no server runs at {}; start it with \"systemctl start pier\" or \"pier serve\"",
                        (*config)->admin.socket.empty() ? "a management socket (admin.socket is empty)"
                                                        : (*config)->admin.socket));
    return program.call(method, std::move(params));
}

// Whatever the server says of itself, a line for each value, groups indented.
std::string pretty(const json::object& object, std::size_t indent) {
    std::size_t width = 0;
    for (const auto& [key, value] : object)
        width = std::max(width, key.size());
    std::string out;
    for (const auto& [key, value] : object) {
        const std::string margin(indent, ' ');
        if (value.is_object()) {
            out +=
                fmt::format("{}{}\n{}", margin, std::string_view(key), pretty(value.as_object(), indent + 2));
            continue;
        }
        if (value.is_array()) {
            for (const json::value& element : value.as_array())
                out += element.is_object() ? fmt::format("{}{}\n{}", margin, std::string_view(key),
                                                         pretty(element.as_object(), indent + 2))
                                           : fmt::format("{}{}  {}\n", margin, std::string_view(key),
                                                         json::serialize(element));
            continue;
        }
        const std::string text = value.is_string() ? std::string(value.as_string()) : json::serialize(value);
        out += fmt::format("{}{:<{}}  {}\n", margin, std::string_view(key), width, text);
    }
    return out;
}

Result<int> status(Program& program) {
    const auto answer = call_server(program, "status");
    if (!answer) return answer.error();
    program.say(pretty(answer->as_object(), 0), *answer);
    return exit_code::fine;
}

Result<int> reload(Program& program) {
    const auto answer = call_server(program, "reload");
    if (!answer) return answer.error();
    program.say(std::string(answer->at("text").as_string()) + "\n", *answer);
    return exit_code::fine;
}

Result<int> show_metrics(Program& program) {
    const auto answer = call_server(program, "metrics");
    if (!answer) return answer.error();
    const std::string text(answer->as_object().at("text").as_string());
    program.say(text, *answer);
    return exit_code::fine;
}

Result<int> acme_status(Program& program) {
    const auto answer = call_server(program, "acme.status");
    if (!answer) return answer.error();
    program.say(pretty(answer->as_object(), 0), *answer);
    return exit_code::fine;
}

Result<int> acme_renew(Program& program) {
    const auto answer = call_server(program, "acme.renew");
    if (!answer) return answer.error();
    program.say("the authority is asked for a new certificate; \"pier acme status\" says how it went\n",
                *answer);
    return exit_code::fine;
}

void define_acme_commands(Program& program) {
    CLI::App* group =
        program.command(program.app(), "acme", "The certificate that Pier gets itself ([acme]).", nullptr);
    program.command(*group, "status",
                    "Print how it stands: until when it is good, when it is renewed, what failed.",
                    [&program] { return acme_status(program); });
    program.command(*group, "renew", "Get a new one now.", [&program] { return acme_renew(program); });
}

struct DrainArguments {
    std::string notice = "10s";
    std::string wait = "5m";
    bool end = false;
};

Result<std::uint64_t> connections_to_drain(Program& program) {
    const auto answer = call_server(program, "status");
    if (!answer) return answer.error();
    return answer->at("drain").at("connections").to_number<std::uint64_t>();
}

Result<int> end_drain(Program& program) {
    const auto answer = call_server(program, "drain.end");
    if (!answer) return answer.error();
    program.say("new connections are served again\n", *answer);
    return exit_code::fine;
}

Result<int> drain(Program& program, const DrainArguments& arguments) {
    if (arguments.end) return end_drain(program);
    const auto notice = parse_duration(arguments.notice);
    if (!notice) return Error(ErrorKind::invalid, "--notice: " + notice.error().text);
    const auto wait = parse_duration(arguments.wait);
    if (!wait) return Error(ErrorKind::invalid, "--wait: " + wait.error().text);
    const auto answer = call_server(program, "drain", {{"notice_s", *notice}});
    if (!answer) return answer.error();
    program.terminal().err << fmt::format(
        "draining: health checks fail from now on, and in {} new connections are refused\n",
        format_duration(*notice));
    using Clock = std::chrono::steady_clock;
    const auto refused_from = Clock::now() + std::chrono::seconds(*notice);
    const auto end = refused_from + std::chrono::seconds(*wait);
    while (true) {
        const auto left = connections_to_drain(program);
        if (!left) return left.error();
        const bool refuses = Clock::now() >= refused_from;
        if (refuses && (*left == 0 || Clock::now() >= end)) {
            program.say(*left == 0
                            ? "drained: no session is left; the server can be stopped\n"
                            : fmt::format("{} sessions are still there after {}; the server refuses new "
                                          "ones, and \"pier drain --end\" ends that\n",
                                          *left, format_duration(*wait)),
                        json::object{{"connections", *left}});
            return *left == 0 ? exit_code::fine : exit_code::failed;
        }
        std::this_thread::sleep_for(drain_pause);
    }
}

Result<int> set_level(Program& program, const std::string& level) {
    const auto answer = call_server(program, "log.level", {{"level", level}});
    if (!answer) return answer.error();
    program.say(fmt::format("the server logs from level {} on, until it reloads or stops\n", level), *answer);
    return exit_code::fine;
}

Result<std::vector<std::string>> recent_lines(Program& program) {
    const auto answer = call_server(program, "log.recent");
    if (!answer) return answer.error();
    std::vector<std::string> lines;
    for (const json::value& line : answer->at("lines").as_array())
        lines.emplace_back(line.as_string());
    return lines;
}

struct TailArguments {
    std::size_t lines_max = 20;
    bool follow = false;
};

Result<int> tail(Program& program, const TailArguments& arguments) {
    auto lines = recent_lines(program);
    if (!lines) return lines.error();
    const std::size_t first = lines->size() - std::min(lines->size(), arguments.lines_max);
    if (program.json() && !arguments.follow) {
        program.say("",
                    json::object{{"lines", json::array(lines->begin() + static_cast<std::ptrdiff_t>(first),
                                                       lines->end())}});
        return exit_code::fine;
    }
    std::ostream& out = program.terminal().out;
    for (std::size_t i = first; i < lines->size(); ++i)
        out << (*lines)[i] << '\n';
    out << std::flush;
    while (arguments.follow && out) {
        std::this_thread::sleep_for(follow_pause);
        auto now = recent_lines(program);
        if (!now) return now.error();
        for (std::size_t i = lines_in_common(*lines, *now); i < now->size(); ++i)
            out << (*now)[i] << '\n';
        out << std::flush;
        lines = std::move(now);
    }
    return exit_code::fine;
}

}  // namespace

std::size_t lines_in_common(const std::vector<std::string>& before, const std::vector<std::string>& now) {
    for (std::size_t gone = 0; gone < before.size(); ++gone) {
        const std::size_t kept = before.size() - gone;
        if (kept <= now.size() &&
            std::equal(before.begin() + static_cast<std::ptrdiff_t>(gone), before.end(), now.begin()))
            return kept;
    }
    return 0;
}

void define_server_commands(Program& program) {
    CLI::App* serves = program.command(program.app(), "serve", "Run the server.",
                                       [&program] { return serve_command(program); });
    serves->footer(
        "Runs in the foreground until SIGTERM or SIGINT; a second one ends it at once. SIGHUP reloads.");
    program.command(program.app(), "status", "Print what the running server does.",
                    [&program] { return status(program); });
    program.command(program.app(), "metrics", "Print what the running server has measured (OpenMetrics).",
                    [&program] { return show_metrics(program); });
    program.command(program.app(), "reload",
                    "Let the running server read its configuration and certificate again.",
                    [&program] { return reload(program); });

    define_acme_commands(program);
    const auto draining = std::make_shared<DrainArguments>();
    CLI::App* drains = program.command(
        program.app(), "drain", "Let sessions finish and refuse new ones, before the server is stopped.",
        [&program, draining] { return drain(program, *draining); });
    option(*drains, "--notice", draining->notice, "TIME",
           "How long new sessions are still taken, so that proxies see their health checks fail; 10s by "
           "default.");
    option(*drains, "--wait", draining->wait, "TIME",
           "How long to wait then until the last session has ended; 5m by default.");
    drains->add_flag("--end", draining->end, "Serve new connections again.");
    drains->footer("Succeeds when no session is left: \"pier drain && systemctl restart pier\".");

    CLI::App* group = program.command(program.app(), "log", "The running server's log.", nullptr);
    const auto level = std::make_shared<std::string>();
    CLI::App* levels =
        program.command(*group, "level", "Change how much is logged, until the server reloads or stops.",
                        [&program, level] { return set_level(program, *level); });
    word_argument(*levels, "LEVEL", *level, {"debug", "info", "warning", "error"},
                  "The least important level that is written.");
    const auto tailing = std::make_shared<TailArguments>();
    CLI::App* tails = program.command(*group, "tail", "Print the last lines.",
                                      [&program, tailing] { return tail(program, *tailing); });
    tails->add_option("-n,--lines", tailing->lines_max, "How many; 20 by default.")->type_name("N");
    tails->add_flag("-f,--follow", tailing->follow, "Go on with new lines as they come.");
}

}  // namespace pier::program
