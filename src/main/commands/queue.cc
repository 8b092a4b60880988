// pier queue list|show|retry|flush|hold|release|drop
#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "main/commands/commands.h"
#include "main/quantity.h"

namespace pier::program {
namespace {

namespace json = boost::json;

std::string text_of(const json::value& value) {
    return value.is_string() ? std::string(value.as_string()) : std::string();
}

std::string or_dash(std::string text) {
    return text.empty() ? "-" : text;
}

std::uint64_t number_of(const json::value& value) {
    return value.to_number<std::uint64_t>();
}

struct ListArguments {
    std::string sender, recipient, destination, state, messages_max;
    bool held = false;
};

std::string recipients_cell(const json::object& message) {
    const auto left = number_of(message.at("recipients_left"));
    const std::string first = or_dash(text_of(message.at("first_recipient")));
    return left > 1 ? fmt::format("{} and {} more", first, left - 1) : first;
}

Result<int> list(Program& program, const ListArguments& arguments) {
    json::object params;
    const auto set = [&](const char* name, const std::string& value) {
        if (!value.empty()) params[name] = value;
    };
    set("sender", arguments.sender);
    set("recipient", arguments.recipient);
    set("destination", arguments.destination);
    set("state", arguments.state);
    if (arguments.held) params["held"] = true;
    if (!arguments.messages_max.empty()) {
        const std::string& text = arguments.messages_max;
        if (text.size() > 6 || text.find_first_not_of("0123456789") != std::string::npos)
            return Error(ErrorKind::invalid, "--max is a number, as 100");
        params["messages_max"] = std::stoull(text);
    }
    const auto answer = program.call("queue.list", std::move(params));
    if (!answer) return answer.error();
    const json::array& messages = answer->at("messages").as_array();
    std::vector<std::vector<std::string>> rows{
        {"ID", "ARRIVED", "SIZE", "SENDER", "LEFT", "NEXT TRY", "LAST REPLY"}};
    for (const json::value& value : messages) {
        const json::object& message = value.as_object();
        rows.push_back({text_of(message.at("id")), text_of(message.at("arrived")),
                        about_octets(number_of(message.at("octets"))), or_dash(text_of(message.at("sender"))),
                        recipients_cell(message),
                        message.at("held").as_bool() ? "on hold" : or_dash(text_of(message.at("next"))),
                        or_dash(text_of(message.at("reply")))});
    }
    const auto matching = number_of(answer->at("matching"));
    std::string text = messages.empty() ? "" : table(rows);
    if (matching > messages.size())
        text += fmt::format("{} of {} messages are shown; --max shows more\n", messages.size(), matching);
    else
        text += matching == 0 ? std::string("there are no such messages in the queue\n")
                              : fmt::format("{} {}\n", matching, matching == 1 ? "message" : "messages");
    program.say(text, *answer);
    return exit_code::fine;
}

Result<int> show(Program& program, const std::string& id) {
    const auto answer = program.call("queue.show", {{"id", id}});
    if (!answer) return answer.error();
    std::string text;
    const auto line = [&](std::string_view what, std::string_view value) {
        text += fmt::format("{:<10} {}\n", what, value);
    };
    line("message", text_of(answer->at("id")));
    line("sender", or_dash(text_of(answer->at("sender"))));
    line("account", or_dash(text_of(answer->at("account"))));
    line("arrived", text_of(answer->at("arrived")));
    line("size", about_octets(number_of(answer->at("octets"))));
    if (answer->at("held").as_bool()) line("state", "on hold; \"pier queue release\" ends that");
    std::vector<std::vector<std::string>> rows{
        {"RECIPIENT", "STATE", "TRIES", "NEXT TRY", "SERVER", "LAST REPLY"}};
    for (const json::value& value : answer->at("each").as_array())
        rows.push_back({text_of(value.at("address")), text_of(value.at("state")),
                        std::to_string(number_of(value.at("attempts"))), or_dash(text_of(value.at("next"))),
                        or_dash(text_of(value.at("server"))), or_dash(text_of(value.at("reply")))});
    text += '\n' + table(rows);
    program.say(text, *answer);
    return exit_code::fine;
}

Result<int> act(Program& program, const char* method, json::object params, std::string_view done) {
    const std::string id = text_of(params.at("id"));
    const auto answer = program.call(method, std::move(params));
    if (!answer) return answer.error();
    program.say(fmt::format("{} {}\n", id, done), *answer);
    return exit_code::fine;
}

Result<int> flush(Program& program) {
    const auto answer = program.call("queue.flush", {});
    if (!answer) return answer.error();
    const auto messages = number_of(answer->at("messages"));
    program.say(fmt::format("{} {} tried now\n", messages, messages == 1 ? "message is" : "messages are"),
                *answer);
    return exit_code::fine;
}

void define_list(Program& program, CLI::App& group) {
    const auto values = std::make_shared<ListArguments>();
    CLI::App* command = program.command(group, "list", "List messages that wait, the oldest first.",
                                        [&program, values] { return list(program, *values); });
    option(*command, "--sender", values->sender, "TEXT", "Only those whose sender's address has this in it.");
    option(*command, "--recipient", values->recipient, "TEXT", "Only those with such a recipient.");
    option(*command, "--destination", values->destination, "DOMAIN",
           "Only those that still go to this domain.");
    allow_words(
        *option(*command, "--state", values->state, "STATE", "Only those with a recipient in this state."),
        {"waiting", "delivered", "failed", "bounced"});
    command->add_flag("--held", values->held, "Only those on hold.");
    option(*command, "--max", values->messages_max, "NUMBER", "So many at most; 1000 by default.");
}

void define_for_message(Program& program, CLI::App& group, const char* name, const char* help,
                        std::function<Result<int>(const std::string&)> action) {
    const auto id = std::make_shared<std::string>();
    CLI::App* command =
        program.command(group, name, help, [id, action = std::move(action)] { return action(*id); });
    argument(*command, "ID", *id, "The number of the message, as the list shows it.");
}

}  // namespace

void define_queue_commands(Program& program) {
    CLI::App* group =
        program.command(program.app(), "queue", "Mail that waits to be sent to other servers.", nullptr);
    define_list(program, *group);
    define_for_message(program, *group, "show", "Show a message and each of its recipients.",
                       [&program](const std::string& id) { return show(program, id); });
    define_for_message(program, *group, "retry", "Try a message now.", [&program](const std::string& id) {
        return act(program, "queue.retry", {{"id", id}}, "is tried now");
    });
    program.command(*group, "flush", "Try all messages now.", [&program] { return flush(program); });
    define_for_message(program, *group, "hold", "Stop trying a message, until it is released.",
                       [&program](const std::string& id) {
                           return act(program, "queue.hold", {{"id", id}}, "is on hold");
                       });
    define_for_message(program, *group, "release", "Go on trying a message that is on hold.",
                       [&program](const std::string& id) {
                           return act(program, "queue.release", {{"id", id}}, "is released");
                       });

    const auto id = std::make_shared<std::string>();
    const auto bounce = std::make_shared<bool>(false);
    CLI::App* drop =
        program.command(*group, "drop", "Take a message out of the queue for good.", [&program, id, bounce] {
            return act(program, "queue.drop", {{"id", *id}, {"bounce", *bounce}},
                       *bounce ? "goes back to its sender" : "is dropped");
        });
    argument(*drop, "ID", *id, "The number of the message, as the list shows it.");
    drop->add_flag("--bounce", *bounce, "Tell the sender that it was not delivered.");
}

}  // namespace pier::program
