// pier domain dkim|records|check; add, change, list and remove: address.cc
#include <memory>

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "auth/name.h"
#include "dns/resolver.h"
#include "main/commands/commands.h"
#include "main/dkim_key.h"
#include "main/domain_lookup.h"
#include "main/domain_records.h"

namespace pier::program {
namespace {

namespace json = boost::json;

// Also that the domain is one of ours.
Result<DomainFacts> facts_of(Program& program, const std::string& name) {
    const auto config = program.config();
    if (!config) return config.error();
    const auto domain = auth::domain_name(name);
    if (!domain) return domain.error();
    if (!dns::is_name(*domain))
        return Error(ErrorKind::invalid, fmt::format("write {} in the form that DNS knows, xn--…", *domain));
    auto facts = own_domain_facts(**config, *domain);
    if (!facts) return facts.error();
    const auto answer = program.call("domain.list", {});
    if (!answer) return answer.error();
    for (const json::value& one : answer->at("domains").as_array())
        if (one.at("name").as_string() == *domain) return *facts;
    return Error(ErrorKind::not_found,
                 fmt::format("there is no domain {0}; add it with 'pier domain add {0}'", *domain));
}

json::object to_json(const DnsRecord& record) {
    return {{"name", record.name},
            {"type", record.type},
            {"value", record.value},
            {"purpose", record.purpose},
            {"advice", record.advice}};
}

// ---- the commands ----

struct DkimArguments {
    std::string name, selector;
    bool ed25519 = false;
};

Result<int> dkim(Program& program, const DkimArguments& arguments) {
    const auto facts = facts_of(program, arguments.name);
    if (!facts) return facts.error();
    const std::string& folder = (*program.config())->server.data_folder;
    const std::string selector = !arguments.selector.empty() ? arguments.selector
                                 : arguments.ed25519         ? "pier-ed"
                                                             : "pier";
    const auto key = make_dkim_key(folder, facts->domain, selector,
                                   arguments.ed25519 ? DkimKeyType::ed25519 : DkimKeyType::rsa);
    if (!key) return key.error();
    DomainFacts one = *facts;
    one.dkim = {*key};
    for (const DnsRecord& record : domain_records(one)) {
        if (record.name.find("._domainkey.") == std::string::npos) continue;
        json::object answer = to_json(record);
        answer["file"] = dkim_file(folder, facts->domain, selector);
        program.say(fmt::format("the key is in {}; put this into DNS:\n\n{}",
                                dkim_file(folder, facts->domain, selector), zone_file({record})),
                    answer);
    }
    return exit_code::fine;
}

Result<int> records(Program& program, const std::string& name) {
    const auto facts = facts_of(program, name);
    if (!facts) return facts.error();
    const auto all = domain_records(*facts);
    std::string text = zone_file(all);
    if (facts->addresses.empty())
        text += fmt::format(
            "\n; {}. {} IN A …: this machine has no public address of its own; put in the one "
            "that leads here\n",
            facts->host, 3600);
    if (facts->dkim.empty())
        text += fmt::format("\n; no DKIM key yet: 'pier domain dkim {}' makes one\n", facts->domain);
    const std::string policy = mta_sts_policy(*facts);
    const std::string url = fmt::format("https://mta-sts.{}/.well-known/mta-sts.txt", facts->domain);
    text += fmt::format("\n; {} (a web server gives it; \"enforce\" once all goes well):\n", url);
    for (std::string_view rest = policy; !rest.empty(); rest.remove_prefix(rest.find('\n') + 1))
        text += fmt::format(";   {}\n", rest.substr(0, rest.find('\r')));
    json::array list;
    for (const DnsRecord& record : all)
        list.push_back(to_json(record));
    program.say(text, json::object{{"domain", facts->domain},
                                   {"host", facts->host},
                                   {"records", std::move(list)},
                                   {"mta_sts", {{"url", url}, {"policy", policy}}}});
    return exit_code::fine;
}

struct CheckArguments {
    std::string name;
    std::vector<std::string> servers;
};

Result<int> check(Program& program, const CheckArguments& arguments) {
    const auto facts = facts_of(program, arguments.name);
    if (!facts) return facts.error();
    dns::ResolverSettings settings;
    settings.servers = arguments.servers;
    const auto resolver = dns::Resolver::make(std::move(settings));
    if (!resolver) return resolver.error();
    std::vector<std::vector<std::string>> rows{{"STATE", "NAME", "TYPE", "EXPECTED", "FOUND"}};
    json::array list;
    bool all_well = true;
    for (const DnsRecord& record : domain_records(*facts)) {
        const RecordCheck checked = look_up(**resolver, record);
        const bool well = checked.state == RecordCheck::State::ok;
        all_well = all_well && well;
        rows.push_back({std::string(to_string(checked.state)), record.name, record.type,
                        well ? "" : record.value, checked.found});
        json::object one = to_json(record);
        one["state"] = to_string(checked.state);
        one["found"] = checked.found;
        list.push_back(std::move(one));
    }
    program.say(table(rows), json::object{{"domain", facts->domain}, {"ok", all_well}, {"records", list}});
    return all_well ? exit_code::fine : exit_code::failed;
}

}  // namespace

void define_domain_record_commands(Program& program, CLI::App& domains) {
    const auto making = std::make_shared<DkimArguments>();
    CLI::App* makes =
        program.command(domains, "dkim", "Make a key for signatures (DKIM), and print its record.",
                        [&program, making] { return dkim(program, *making); });
    argument(*makes, "DOMAIN", making->name, "Its name.");
    option(*makes, "--selector", making->selector, "NAME",
           "What tells this key from others of the domain; \"pier\" by default, \"pier-ed\" with --ed25519.");
    makes->add_flag("--ed25519", making->ed25519,
                    "An Ed25519 key, which few understand yet: beside an RSA key, not in its place.");

    const auto printing = std::make_shared<std::string>();
    CLI::App* prints = program.command(domains, "records", "Print what DNS has to say of a domain.",
                                       [&program, printing] { return records(program, *printing); });
    argument(*prints, "DOMAIN", *printing, "Its name.");

    const auto checking = std::make_shared<CheckArguments>();
    CLI::App* checks =
        program.command(domains, "check", "Compare what DNS says of a domain with what it should.",
                        [&program, checking] { return check(program, *checking); });
    argument(*checks, "DOMAIN", checking->name, "Its name.");
    checks
        ->add_option("--server", checking->servers,
                     "DNS servers to ask, as in 192.0.2.1 or 127.0.0.1:5353; those of the system by default.")
        ->type_name("ADDRESS");
    checks->footer("Exits 0 when every record is as it should be, else 1.");
}

}  // namespace pier::program
