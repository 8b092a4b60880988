// pier account messages
#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "main/commands/commands.h"
#include "migrate/plan.h"

namespace pier::program {
namespace {

namespace json = boost::json;

Result<int> list_messages(Program& program, const std::string& account) {
    json::array all;
    std::uint64_t after = 0;
    for (bool more = true; more;) {
        auto answer =
            program.call("mail.messages", {{"account", account}, {"shown", true}, {"after_uid", after}});
        if (!answer) return answer.error();
        for (json::value& message : answer->at("messages").as_array())
            all.push_back(std::move(message));
        const json::value* next = answer->as_object().if_contains("next_after_uid");
        more = next != nullptr;
        if (more) after = next->to_number<std::uint64_t>();
    }
    std::vector<std::vector<std::string>> rows{{"NUMBER", "UIDL", "OCTETS", "FLAGS"}};
    for (const json::value& message : all) {
        rows.push_back({fmt::format("{}", message.at("number").to_number<std::uint64_t>()),
                        std::string(message.at("uidl").as_string()),
                        fmt::format("{}", message.at("octets").to_number<std::uint64_t>()),
                        migrate::flag_names(message.at("flags").to_number<store::Flags>())});
    }
    const std::string text = rows.size() == 1 ? fmt::format("{} has no messages\n", account) : table(rows);
    program.say(text, json::object{{"messages", std::move(all)}});
    return exit_code::fine;
}

}  // namespace

void define_messages_command(Program& program, CLI::App& accounts) {
    const auto name = std::make_shared<std::string>();
    CLI::App* command =
        program.command(accounts, "messages", "List an account's messages as its POP3 clients see them.",
                        [&program, name] { return list_messages(program, *name); });
    argument(*command, "ACCOUNT", *name, "The account.");
}

}  // namespace pier::program
