// pier alias add|list|remove, pier domain add|list|remove
#include <boost/algorithm/string/join.hpp>
#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "main/commands/commands.h"

namespace pier::program {
namespace {

namespace json = boost::json;

// Calls `method` and says `text`.
Result<int> do_and_say(Program& program, std::string_view method, json::object params,
                       const std::string& text) {
    const auto answer = program.call(method, std::move(params));
    if (!answer) return answer.error();
    program.say(text, *answer);
    return exit_code::fine;
}

struct AliasArguments {
    std::string address;
    std::vector<std::string> targets;
};

Result<int> add_alias(Program& program, const AliasArguments& arguments) {
    json::array targets(arguments.targets.begin(), arguments.targets.end());
    return do_and_say(program, "alias.add", {{"address", arguments.address}, {"targets", std::move(targets)}},
                      fmt::format("mail for {} goes to {}\n", arguments.address,
                                  boost::algorithm::join(arguments.targets, ", ")));
}

Result<int> list_aliases(Program& program) {
    const auto answer = program.call("alias.list", {});
    if (!answer) return answer.error();
    std::vector<std::vector<std::string>> rows{{"ADDRESS", "TO"}};
    for (const json::value& alias : answer->at("aliases").as_array()) {
        std::string targets;
        for (const json::value& target : alias.at("targets").as_array())
            targets += (targets.empty() ? "" : ", ") + std::string(target.as_string());
        rows.push_back({std::string(alias.at("address").as_string()), targets});
    }
    program.say(rows.size() == 1 ? "there are no aliases; make one with \"pier alias add ADDRESS ACCOUNT\"\n"
                                 : table(rows),
                *answer);
    return exit_code::fine;
}

Result<int> list_domains(Program& program) {
    const auto answer = program.call("domain.list", {});
    if (!answer) return answer.error();
    std::string text;
    for (const json::value& domain : answer->at("domains").as_array())
        text += std::string(domain.at("name").as_string()) + "\n";
    program.say(text.empty() ? "there are no domains; add one with \"pier domain add NAME\"\n" : text,
                *answer);
    return exit_code::fine;
}

void define_alias_commands(Program& program) {
    CLI::App* group =
        program.command(program.app(), "alias", "Manage addresses whose mail goes to accounts.", nullptr);
    const auto adding = std::make_shared<AliasArguments>();
    CLI::App* adds = program.command(*group, "add",
                                     "Let mail for an address go to accounts; replaces what was set before.",
                                     [&program, adding] { return add_alias(program, *adding); });
    argument(*adds, "ADDRESS", adding->address,
             "A name, an address, or @domain for every address nobody else has.");
    arguments(*adds, "TARGET", adding->targets, "Accounts or other aliases.");

    program.command(*group, "list", "List all aliases.", [&program] { return list_aliases(program); });

    const auto removing = std::make_shared<std::string>();
    CLI::App* removes = program.command(*group, "remove", "Remove an alias.", [&program, removing] {
        return do_and_say(program, "alias.remove", {{"address", *removing}},
                          fmt::format("alias {} removed\n", *removing));
    });
    argument(*removes, "ADDRESS", *removing, "The alias.");
}

void define_domain_commands(Program& program) {
    CLI::App* group =
        program.command(program.app(), "domain", "Manage the domains whose mail this server takes.", nullptr);
    const auto adding = std::make_shared<std::string>();
    CLI::App* adds = program.command(*group, "add", "Take mail for a domain.", [&program, adding] {
        return do_and_say(program, "domain.add", {{"name", *adding}},
                          fmt::format("domain {} added\n", *adding));
    });
    argument(*adds, "DOMAIN", *adding, "Its name.");

    program.command(*group, "list", "List all domains.", [&program] { return list_domains(program); });

    const auto removing = std::make_shared<std::string>();
    CLI::App* removes =
        program.command(*group, "remove", "Take no more mail for a domain.", [&program, removing] {
            return do_and_say(program, "domain.remove", {{"name", *removing}},
                              fmt::format("domain {} removed\n", *removing));
        });
    argument(*removes, "DOMAIN", *removing, "Its name.");
}

}  // namespace

void define_address_commands(Program& program) {
    define_alias_commands(program);
    define_domain_commands(program);
}

}  // namespace pier::program
