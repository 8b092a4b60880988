// pier account app-password add|list|revoke
#include <boost/algorithm/string/join.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "main/commands/commands.h"

namespace pier::program {
namespace {

namespace json = boost::json;

struct Arguments {
    std::string account, name, until;
    std::vector<std::string> protocols, networks;
};

json::array to_array(const std::vector<std::string>& texts) {
    return json::array(texts.begin(), texts.end());
}

std::string joined(const json::value& texts, std::string_view if_none) {
    std::vector<std::string> all;
    for (const json::value& text : texts.as_array())
        all.emplace_back(std::string_view(text.as_string()));
    return all.empty() ? std::string(if_none) : boost::algorithm::join(all, ", ");
}

std::string text_or(const json::value& text, std::string_view if_none) {
    const std::string_view value = text.as_string();
    return std::string(value.empty() ? if_none : value);
}

Result<int> add(Program& program, const Arguments& arguments) {
    json::object params{{"account", arguments.account}, {"name", arguments.name}};
    if (!arguments.protocols.empty()) params["protocols"] = to_array(arguments.protocols);
    if (!arguments.networks.empty()) params["networks"] = to_array(arguments.networks);
    if (!arguments.until.empty()) params["until"] = arguments.until;
    const auto answer = program.call("account.app_password.add", std::move(params));
    if (!answer) return answer.error();
    program.say(fmt::format("{} may log in with this app password, which is shown only now:\n\n    {}\n\n",
                            arguments.account, std::string_view(answer->at("password").as_string())),
                *answer);
    return exit_code::fine;
}

Result<int> list(Program& program, const std::string& account) {
    const auto answer = program.call("account.app_password.list", {{"account", account}});
    if (!answer) return answer.error();
    std::vector<std::vector<std::string>> rows{{"NAME", "FOR", "FROM", "UNTIL", "CREATED", "LAST USED"}};
    for (const json::value& value : answer->at("app_passwords").as_array()) {
        const json::object& one = value.as_object();
        rows.push_back({text_or(one.at("name"), ""), joined(one.at("protocols"), "all"),
                        joined(one.at("networks"), "everywhere"), text_or(one.at("until"), "revoked"),
                        text_or(one.at("created"), ""), text_or(one.at("used"), "never")});
    }
    program.say(rows.size() == 1
                    ? fmt::format("{} has no app passwords; make one with \"pier account app-password add {} "
                                  "NAME\"\n",
                                  account, account)
                    : table(rows),
                *answer);
    return exit_code::fine;
}

Result<int> revoke(Program& program, const Arguments& arguments) {
    const auto answer = program.call("account.app_password.revoke",
                                     {{"account", arguments.account}, {"name", arguments.name}});
    if (!answer) return answer.error();
    program.say(fmt::format("the app password \"{}\" of {} is revoked\n", arguments.name, arguments.account),
                *answer);
    return exit_code::fine;
}

void several(CLI::App& command, const std::string& name, std::vector<std::string>& values,
             const std::string& type, const std::string& help) {
    command.add_option(name, values, help)->type_name(type)->expected(1)->allow_extra_args(false)->take_all();
}

}  // namespace

void define_app_password_commands(Program& program, CLI::App& accounts) {
    CLI::App* group = program.command(
        accounts, "app-password",
        "Manage app passwords: one for each program or device, so that each can be revoked alone.", nullptr);

    const auto adding = std::make_shared<Arguments>();
    CLI::App* adds = program.command(*group, "add", "Make an app password and print it, once.",
                                     [&program, adding] { return add(program, *adding); });
    argument(*adds, "ACCOUNT", adding->account, "The account.");
    argument(*adds, "NAME", adding->name, "What it is for, as in phone.");
    several(*adds, "--for", adding->protocols, "PROTOCOL",
            "Only for this protocol, as in pop3; may be repeated.");
    several(*adds, "--from", adding->networks, "NETWORK", "Only from this network; may be repeated.");
    option(*adds, "--until", adding->until, "DATE",
           "The last day on which it is taken, as in 2027-01-31 (UTC).");

    const auto listing = std::make_shared<std::string>();
    CLI::App* lists =
        program.command(*group, "list", "List an account's app passwords, and when each was used last.",
                        [&program, listing] { return list(program, *listing); });
    argument(*lists, "ACCOUNT", *listing, "The account.");

    const auto revoking = std::make_shared<Arguments>();
    CLI::App* revokes = program.command(*group, "revoke", "Let nobody log in with an app password any more.",
                                        [&program, revoking] { return revoke(program, *revoking); });
    argument(*revokes, "ACCOUNT", revoking->account, "The account.");
    argument(*revokes, "NAME", revoking->name, "The app password's name.");
}

}  // namespace pier::program
