// pier account second-factor start|confirm|remove
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "main/commands/commands.h"

namespace pier::program {
namespace {

struct Arguments {
    std::string account, code;
};

Result<int> start(Program& program, const std::string& account) {
    const auto answer = program.call("account.second_factor.start", {{"account", account}});
    if (!answer) return answer.error();
    program.say(fmt::format("Give this to an authenticator app; it is shown only now:\n\n    {}\n    {}\n\n"
                            "Then show that it works: pier account second-factor confirm {} CODE\n",
                            std::string_view(answer->at("secret").as_string()),
                            std::string_view(answer->at("uri").as_string()), account),
                *answer);
    return exit_code::fine;
}

Result<int> confirm(Program& program, const Arguments& arguments) {
    const auto answer = program.call("account.second_factor.confirm",
                                     {{"account", arguments.account}, {"code", arguments.code}});
    if (!answer) return answer.error();
    program.say(fmt::format("{0} has a second factor: mail programs need an app password from now on "
                            "('pier account app-password add {0} NAME')\n",
                            arguments.account),
                *answer);
    return exit_code::fine;
}

Result<int> remove(Program& program, const std::string& account) {
    const auto answer = program.call("account.second_factor.remove", {{"account", account}});
    if (!answer) return answer.error();
    program.say(fmt::format("{} has no second factor any more\n", account), *answer);
    return exit_code::fine;
}

}  // namespace

void define_second_factor_commands(Program& program, CLI::App& accounts) {
    CLI::App* group = program.command(
        accounts, "second-factor",
        "Manage second factors: codes of an authenticator app. Mail programs, which cannot ask for one, then "
        "need app passwords.",
        nullptr);

    const auto starting = std::make_shared<std::string>();
    CLI::App* starts = program.command(*group, "start", "Make a secret for an authenticator app.",
                                       [&program, starting] { return start(program, *starting); });
    argument(*starts, "ACCOUNT", *starting, "The account.");

    const auto confirming = std::make_shared<Arguments>();
    CLI::App* confirms = program.command(*group, "confirm", "Put the second factor in force.",
                                         [&program, confirming] { return confirm(program, *confirming); });
    argument(*confirms, "ACCOUNT", confirming->account, "The account.");
    argument(*confirms, "CODE", confirming->code, "What the app shows now.");

    const auto removing = std::make_shared<std::string>();
    CLI::App* removes = program.command(*group, "remove", "Remove an account's second factor.",
                                        [&program, removing] { return remove(program, *removing); });
    argument(*removes, "ACCOUNT", *removing, "The account.");
}

}  // namespace pier::program
