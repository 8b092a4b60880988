// pier alert list|ack|test
#include <cstdlib>
#include <memory>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include "main/commands/commands.h"
#include "main/quantity.h"

namespace pier::program {
namespace {

namespace json = boost::json;

std::string text_of(const json::value& value) {
    return value.is_string() ? std::string(value.as_string()) : std::string();
}

Result<json::value> ask(Program& program, std::string_view method, json::object params) {
    const auto config = program.config();
    if (!config) return config.error();
    const auto runs = server_runs(**config);
    if (!runs) return runs.error();
    if (!*runs)
        return Error(
            ErrorKind::not_found,
            "no server runs, and it is the server that watches and tells; start it with `pier serve`");
    return program.call(method, std::move(params));
}

// ---- list ----

std::string told_text(const json::object& alert) {
    if (text_of(alert.at("state")) == "suspected") return "not yet: one look proves nothing";
    const json::value& known = alert.at("acknowledged");
    if (known.is_object()) {
        const std::string until = text_of(known.at("until"));
        return fmt::format("acknowledged by {}{}", text_of(known.at("by")),
                           until.empty() ? "" : " until " + until);
    }
    const std::string told = text_of(alert.at("told"));
    return told.empty() ? "not yet" : told;
}

std::string alert_table(const json::array& alerts) {
    std::vector<std::vector<std::string>> rows{{"SEVERITY", "SINCE", "KEY", "TOLD", ""}};
    for (const json::value& value : alerts) {
        const json::object& alert = value.as_object();
        rows.push_back({text_of(alert.at("severity")), text_of(alert.at("since")), text_of(alert.at("key")),
                        told_text(alert), text_of(alert.at("what"))});
    }
    std::string text = table(rows);
    for (const json::value& value : alerts) {
        const json::object& alert = value.as_object();
        const std::string evidence = text_of(alert.at("evidence")), step = text_of(alert.at("step"));
        if (evidence.empty() && step.empty()) continue;
        text += fmt::format("\n{}\n", text_of(alert.at("key")));
        if (!evidence.empty()) text += fmt::format("    {}\n", evidence);
        if (!step.empty()) text += fmt::format("    -> {}\n", step);
    }
    return text;
}

std::string channel_table(const json::array& channels) {
    std::vector<std::vector<std::string>> rows{
        {"CHANNEL", "KIND", "SENT", "FAILED", "DROPPED", "WAITING", "LAST SENT", "LAST ERROR"}};
    for (const json::value& value : channels) {
        const json::object& channel = value.as_object();
        const auto number = [&](const char* name) {
            return fmt::to_string(channel.at(name).to_number<std::uint64_t>());
        };
        const std::string last = text_of(channel.at("last_sent")), error = text_of(channel.at("last_error"));
        rows.push_back({text_of(channel.at("channel")), text_of(channel.at("kind")), number("sent"),
                        number("failed"), number("dropped"), number("waiting"), last.empty() ? "-" : last,
                        error.empty() ? "-" : error});
    }
    return table(rows);
}

Result<int> list(Program& program) {
    const auto answer = ask(program, "alert.list", {});
    if (!answer) return answer.error();
    const json::array& alerts = answer->at("alerts").as_array();
    const json::array& channels = answer->at("channels").as_array();
    std::string text = alerts.empty() ? "nothing is wrong\n" : alert_table(alerts);
    text += '\n';
    text += channels.empty() ? "nobody is told: there is no [[alerts.channel]] in the configuration\n"
                             : channel_table(channels);
    program.say(text, *answer);
    bool ill = false;
    for (const json::value& alert : alerts)
        ill = ill || text_of(alert.at("state")) == "ill";
    return ill ? exit_code::failed : exit_code::fine;
}

// ---- ack ----

struct AckArguments {
    std::string key, by, time;
};

// Behind sudo the one who has called it.
std::string invoking_user() {
    if (const char* name = std::getenv("SUDO_USER"); name != nullptr && *name != '\0') return name;
    const passwd* user = ::getpwuid(::getuid());
    return user != nullptr ? user->pw_name : fmt::format("user {}", ::getuid());
}

Result<int> acknowledge(Program& program, const AckArguments& arguments) {
    const std::string by = arguments.by.empty() ? invoking_user() : arguments.by;
    json::object params{{"key", arguments.key}, {"by", by}};
    std::string until = "until it is well, or worse";
    if (!arguments.time.empty()) {
        const auto seconds = parse_duration(arguments.time);
        if (!seconds) return Error(ErrorKind::invalid, "--for: " + seconds.error().text);
        params["seconds"] = *seconds;
        until = "for " + format_duration(*seconds);
    }
    const auto answer = ask(program, "alert.ack", std::move(params));
    if (!answer) return answer.error();
    program.say(fmt::format("{} is acknowledged by {}: no reminders {}\n", arguments.key, by, until),
                *answer);
    return exit_code::fine;
}

// ---- test ----

Result<int> test(Program& program, const std::string& channel) {
    json::object params;
    if (!channel.empty()) params["channel"] = channel;
    const auto answer = ask(program, "alert.test", std::move(params));
    if (!answer) return answer.error();
    std::string text;
    bool failed = false;
    for (const json::value& one : answer->at("tried").as_array()) {
        const std::string error = text_of(one.at("error"));
        failed = failed || !error.empty();
        text += fmt::format("{}: {}\n", text_of(one.at("channel")),
                            error.empty() ? "it has taken the notice" : "FAILED: " + error);
    }
    program.say(text, *answer);
    return failed ? exit_code::failed : exit_code::fine;
}

}  // namespace

void define_alert_commands(Program& program) {
    CLI::App* group = program.command(program.app(), "alert", "What is wrong, and who is told.", nullptr);
    CLI::App* lists = program.command(*group, "list", "List what is wrong, and how the channels are.",
                                      [&program] { return list(program); });
    lists->footer("Times are UTC. Exits 1 if something is wrong for certain.");

    const auto known = std::make_shared<AckArguments>();
    CLI::App* acks = program.command(*group, "ack", "Say that somebody looks after it: no more reminders.",
                                     [&program, known] { return acknowledge(program, *known); });
    argument(*acks, "KEY", known->key, "What, by its key in `pier alert list`.");
    option(*acks, "--by", known->by, "NAME", "Who; by default the user who runs this.");
    option(*acks, "--for", known->time, "DURATION", "How long, as in \"4h\"; by default until it is well.");

    const auto channel = std::make_shared<std::string>();
    CLI::App* tests = program.command(*group, "test", "Send a notice through each channel, to try them.",
                                      [&program, channel] { return test(program, *channel); });
    argument(*tests, "CHANNEL", *channel, "One of them alone, by its name.")->required(false);
}

}  // namespace pier::program
