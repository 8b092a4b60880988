// pier alias add|list|remove, pier domain add|change|list|remove
#include <boost/algorithm/string/join.hpp>
#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "main/commands/commands.h"
#include "main/quantity.h"

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
    std::vector<std::vector<std::string>> rows{{"DOMAIN", "ACCOUNTS", "SIZE", "QUOTA", "ALIAS OF"}};
    for (const json::value& value : answer->at("domains").as_array()) {
        const json::object& domain = value.as_object();
        rows.push_back({std::string(domain.at("name").as_string()),
                        fmt::format("{}", domain.at("accounts").to_number<std::uint64_t>()),
                        about_octets(domain.at("octets").to_number<std::uint64_t>()), quota_text(domain),
                        std::string(domain.at("alias_of").as_string())});
    }
    program.say(
        rows.size() == 1 ? "there are no domains; add one with \"pier domain add NAME\"\n" : table(rows),
        *answer);
    return exit_code::fine;
}

struct DomainArguments {
    std::string name, alias_of, quota;
};

Result<int> add_domain(Program& program, const DomainArguments& arguments) {
    json::object params{{"name", arguments.name}, {"alias_of", arguments.alias_of}};
    if (const auto added = add_quota(arguments.quota, params); !added) return added.error();
    return do_and_say(program, "domain.add", std::move(params),
                      fmt::format("domain {} added\n", arguments.name));
}

Result<int> change_domain(Program& program, const DomainArguments& arguments) {
    json::object params{{"name", arguments.name}};
    if (const auto added = add_quota(arguments.quota, params); !added) return added.error();
    if (!arguments.alias_of.empty())
        params["alias_of"] = arguments.alias_of == "none" ? std::string() : arguments.alias_of;
    if (params.size() == 1) return Error(ErrorKind::invalid, "nothing to change; give --quota or --alias-of");
    return do_and_say(program, "domain.change", std::move(params),
                      fmt::format("domain {} changed\n", arguments.name));
}

void define_alias_commands(Program& program) {
    CLI::App* group = program.command(program.app(), "alias",
                                      "Manage addresses whose mail goes to accounts or elsewhere.", nullptr);
    const auto adding = std::make_shared<AliasArguments>();
    CLI::App* adds =
        program.command(*group, "add", "Let mail for an address go to others; replaces what was set before.",
                        [&program, adding] { return add_alias(program, *adding); });
    argument(*adds, "ADDRESS", adding->address,
             "A name, an address, or @domain for every address nobody else has.");
    arguments(*adds, "TARGET", adding->targets, "Accounts, other aliases, or addresses of other servers.");

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
    const auto adding = std::make_shared<DomainArguments>();
    CLI::App* adds = program.command(*group, "add", "Take mail for a domain.",
                                     [&program, adding] { return add_domain(program, *adding); });
    argument(*adds, "DOMAIN", adding->name, "Its name.");
    option(*adds, "--alias-of", adding->alias_of, "DOMAIN",
           "Another domain of this server, all of whose addresses it has too.");
    option(
        *adds, "--quota", adding->quota, "SIZE",
        "The most that the mail of all accounts with an address in it may take, as in \"10 GiB\"; or none.");

    const auto changing = std::make_shared<DomainArguments>();
    CLI::App* changes = program.command(*group, "change", "Change a domain's settings.",
                                        [&program, changing] { return change_domain(program, *changing); });
    argument(*changes, "DOMAIN", changing->name, "Its name.");
    option(*changes, "--alias-of", changing->alias_of, "DOMAIN",
           "Another domain of this server, all of whose addresses it has; or none.");
    option(
        *changes, "--quota", changing->quota, "SIZE",
        "The most that the mail of all accounts with an address in it may take, as in \"10 GiB\"; or none.");

    program.command(*group, "list", "List all domains.", [&program] { return list_domains(program); });

    const auto removing = std::make_shared<std::string>();
    CLI::App* removes =
        program.command(*group, "remove", "Take no more mail for a domain.", [&program, removing] {
            return do_and_say(program, "domain.remove", {{"name", *removing}},
                              fmt::format("domain {} removed\n", *removing));
        });
    argument(*removes, "DOMAIN", *removing, "Its name.");
    define_domain_record_commands(program, *group);
}

}  // namespace

void define_address_commands(Program& program) {
    define_alias_commands(program);
    define_domain_commands(program);
}

}  // namespace pier::program
