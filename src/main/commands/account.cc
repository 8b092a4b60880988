// pier account add|list|show|passwd|change|disable|enable|allow|deny|protocols|forget|remove; messages:
// messages.cc, app-password: app_password.cc, second-factor: second_factor.cc
#include <algorithm>

#include <boost/algorithm/string/classification.hpp>
#include <boost/algorithm/string/join.hpp>
#include <boost/algorithm/string/split.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <sodium.h>

#include "base/random.h"
#include "main/commands/commands.h"
#include "main/quantity.h"

namespace pier::program {
namespace {

namespace json = boost::json;

constexpr std::size_t generated_password_letters = 20;  // 120 bits

// How a command gets a password; never as an argument, where every user of the machine could read it.
struct PasswordOptions {
    std::string password_file, hash_file;
    bool generate = false;
    std::string generated;  // to be shown once
};

void define_password_options(CLI::App& command, PasswordOptions& options) {
    CLI::Option* file = option(command, "--password-file", options.password_file, "FILE",
                               "Take the password from the first line of a file; - is standard input.");
    CLI::Option* hash =
        option(command, "--hash-file", options.hash_file, "FILE",
               "Take a password hash of another server from the first line of a file: {SSHA}..., $6$...");
    CLI::Option* generate =
        command.add_flag("--generate", options.generate, "Make a password and print it, once.");
    file->excludes(hash)->excludes(generate);
    hash->excludes(generate);
    command.footer(
        "Without these options the password is asked for, or taken from the first line of standard input.");
}

// Adds "password" or "password_scheme" to `params`.
Result<void> add_password(Program& program, PasswordOptions& options, const std::string& whom,
                          json::object& params) {
    if (options.generate) {
        options.generated = random_text(generated_password_letters);
        params["password"] = options.generated;
        return {};
    }
    const bool hash = !options.hash_file.empty();
    auto secret = hash ? read_secret_file(program.terminal(), options.hash_file)
                  : options.password_file.empty()
                      ? ask_password(program.terminal(), whom)
                      : read_secret_file(program.terminal(), options.password_file);
    if (!secret) return secret.error();
    params[hash ? "password_scheme" : "password"] = *secret;
    sodium_memzero(secret->data(), secret->size());
    return {};
}

// Says `text`, and the password if one was made.
int say_with_password(Program& program, std::string text, json::value answer,
                      const PasswordOptions& options) {
    if (!options.generated.empty()) {
        text += fmt::format("password: {}\n", options.generated);
        answer.as_object()["password"] = options.generated;
    }
    program.say(text, answer);
    return exit_code::fine;
}

std::string password_text(const json::object& account) {
    const std::string_view scheme = account.at("password").as_string();
    return scheme.empty() ? "none" : std::string(scheme);
}

std::string yes_no(const json::value& flag) {
    return flag.as_bool() ? "yes" : "no";
}

std::string text_of(const json::value& value) {
    return std::string(value.as_string());
}

std::string joined(const json::value& texts) {
    std::string out;
    for (const json::value& text : texts.as_array())
        out += (out.empty() ? "" : ", ") + text_of(text);
    return out;
}

struct AddArguments {
    std::string name, quota;
    bool exclusive = false;
    PasswordOptions password;
};

Result<int> add(Program& program, AddArguments& arguments) {
    json::object params{{"name", arguments.name}, {"exclusive", arguments.exclusive}};
    if (const auto added = add_quota(arguments.quota, params); !added) return added.error();
    if (const auto added = add_password(program, arguments.password, arguments.name, params); !added)
        return added.error();
    const auto answer = program.call("account.add", std::move(params));
    if (!answer) return answer.error();
    return say_with_password(program, fmt::format("account {} added\n", text_of(answer->at("name"))), *answer,
                             arguments.password);
}

Result<int> list(Program& program) {
    const auto answer = program.call("account.list", {});
    if (!answer) return answer.error();
    const json::array& accounts = answer->at("accounts").as_array();
    const bool elsewhere = std::any_of(accounts.begin(), accounts.end(), [](const json::value& account) {
        return !account.at("backend").as_string().empty();
    });
    std::vector<std::vector<std::string>> rows{{"ACCOUNT", "MESSAGES", "SIZE", "QUOTA", "STATE"}};
    if (elsewhere) rows[0].push_back("KEPT BY");
    for (const json::value& value : accounts) {
        const json::object& account = value.as_object();
        rows.push_back({text_of(account.at("name")),
                        fmt::format("{}", account.at("messages").to_number<std::uint64_t>()),
                        about_octets(account.at("octets").to_number<std::uint64_t>()), quota_text(account),
                        account.at("disabled").as_bool() ? "disabled" : "active"});
        const std::string backend = text_of(account.at("backend"));
        if (elsewhere) rows.back().push_back(backend.empty() ? "Pier" : backend);
    }
    program.say(
        rows.size() == 1 ? "there are no accounts; make one with \"pier account add NAME\"\n" : table(rows),
        *answer);
    return exit_code::fine;
}

Result<int> show(Program& program, const std::string& name) {
    const auto answer = program.call("account.show", {{"name", name}});
    if (!answer) return answer.error();
    const json::object& account = answer->as_object();
    std::string text =
        fmt::format("name       {}\ncreated    {}\nmessages   {}\nsize       {}\nquota      {}\n",
                    text_of(account.at("name")), text_of(account.at("created")),
                    account.at("messages").to_number<std::uint64_t>(),
                    about_octets(account.at("octets").to_number<std::uint64_t>()), quota_text(account));
    text += fmt::format("exclusive  {}\ndisabled   {}\npassword   {}\n", yes_no(account.at("exclusive")),
                        yes_no(account.at("disabled")), password_text(account));
    if (const std::string backend = text_of(account.at("backend")); !backend.empty())
        text += fmt::format("kept by    the back end {}\n", backend);
    if (account.at("second_factor").as_bool())
        text += "logs in    with app passwords only: it has a second factor\n";
    else if (account.at("app_passwords_only").as_bool())
        text += "logs in    with app passwords only\n";
    if (account.at("master").as_bool()) text += "master     logs in as every other account\n";
    if (const std::string forward = joined(account.at("forward")); !forward.empty())
        text += fmt::format("forwards   to {}{}\n", forward,
                            account.at("keep_copy").as_bool() ? "" : "; keeps no copy");
    if (const std::string others = joined(account.at("send_as")); !others.empty())
        text += fmt::format("sends as   {}\n", others);
    for (const std::string_view list : {"allow", "deny"})
        if (const std::string networks = joined(account.at(list)); !networks.empty())
            text += fmt::format("{:<10} {}\n", list, networks);
    if (const std::string protocols = joined(account.at("protocols")); protocols != "all")
        text += fmt::format("protocols  {}\n", protocols.empty() ? "none" : protocols);
    if (const json::value* reason = account.if_contains("disabled_text");
        reason && !reason->as_string().empty())
        text += fmt::format("reason     {}\n", text_of(*reason));
    program.say(text, *answer);
    return exit_code::fine;
}

// One change, told as "account NAME <done>".
Result<int> change(Program& program, std::string_view method, json::object params, std::string_view done) {
    const std::string name = text_of(params.at("name"));
    const auto answer = program.call(method, std::move(params));
    if (!answer) return answer.error();
    program.say(fmt::format("account {} {}\n", name, done), *answer);
    return exit_code::fine;
}

struct PasswordArguments {
    std::string name;
    PasswordOptions password;
};

Result<int> set_password(Program& program, PasswordArguments& arguments) {
    json::object params{{"name", arguments.name}};
    if (const auto added = add_password(program, arguments.password, arguments.name, params); !added)
        return added.error();
    const auto answer = program.call("account.passwd", std::move(params));
    if (!answer) return answer.error();
    return say_with_password(program, fmt::format("account {} has a new password\n", arguments.name), *answer,
                             arguments.password);
}

struct ChangeArguments {
    std::string name, quota, exclusive, app_passwords_only, master, send_as, reason;
    std::vector<std::string> forward;
    bool keep_copy = false, no_copy = false;
};

void add_forwarding(const ChangeArguments& arguments, json::object& params) {
    if (!arguments.forward.empty()) {
        const bool nobody = arguments.forward == std::vector<std::string>{"none"};
        params["forward"] =
            nobody ? json::array{} : json::array(arguments.forward.begin(), arguments.forward.end());
    }
    if (arguments.keep_copy || arguments.no_copy) params["keep_copy"] = arguments.keep_copy;
}

// "a@b,c@d"; "none" is an empty list.
json::array addresses_of(const std::string& list) {
    json::array out;
    if (list == "none") return out;
    std::vector<std::string> words;
    boost::algorithm::split(words, list, boost::algorithm::is_any_of(", "),
                            boost::algorithm::token_compress_on);
    for (const std::string& word : words)
        if (!word.empty()) out.emplace_back(word);
    return out;
}

Result<int> change_settings(Program& program, const ChangeArguments& arguments) {
    json::object params{{"name", arguments.name}};
    if (const auto added = add_quota(arguments.quota, params); !added) return added.error();
    if (!arguments.exclusive.empty()) params["exclusive"] = arguments.exclusive == "on";
    if (!arguments.app_passwords_only.empty())
        params["app_passwords_only"] = arguments.app_passwords_only == "on";
    if (!arguments.master.empty()) params["master"] = arguments.master == "on";
    add_forwarding(arguments, params);
    if (!arguments.send_as.empty()) params["send_as"] = addresses_of(arguments.send_as);
    if (params.size() == 1)
        return Error(
            ErrorKind::invalid,
            "nothing to change; give --quota, --exclusive, --app-passwords-only, --master, --forward, "
            "--keep-copy, --no-copy or --send-as");
    return change(program, "account.change", std::move(params), "changed");
}

Result<int> forget(Program& program, const std::string& name) {
    json::object params;
    if (!name.empty()) params["name"] = name;
    const auto answer = program.call("account.forget", std::move(params));
    if (!answer) return answer.error();
    program.say(fmt::format("what the back ends have said of {} is forgotten\n",
                            name.empty() ? "all accounts" : name),
                *answer);
    return exit_code::fine;
}

struct RemoveArguments {
    std::string name;
    bool yes = false;
};

Result<int> remove(Program& program, const RemoveArguments& arguments) {
    const auto account = program.call("account.show", {{"name", arguments.name}});
    if (!account) return account.error();
    if (!arguments.yes) {
        const std::string what =
            fmt::format("Remove account {} with its {} messages, for good?", arguments.name,
                        account->at("messages").to_number<std::uint64_t>());
        if (!program.terminal().asks)
            return Error(ErrorKind::invalid,
                         fmt::format("{} To do it without being asked, give --yes", what));
        if (!confirm(program.terminal(), what)) return Error(ErrorKind::invalid, "nothing was removed");
    }
    return change(program, "account.remove", {{"name", arguments.name}}, "removed");
}

struct NetworkArguments {
    std::string name;
    std::vector<std::string> networks;
};

// "any" and "none" stand for an empty list.
Result<int> set_networks(Program& program, const NetworkArguments& arguments, std::string_view list,
                         std::string_view empty_word) {
    json::array networks(arguments.networks.begin(), arguments.networks.end());
    const bool empty = arguments.networks.size() == 1 && arguments.networks.front() == empty_word;
    if (empty) networks.clear();
    const std::string text = boost::algorithm::join(arguments.networks, ", ");
    return change(program, "account.change", {{"name", arguments.name}, {list, std::move(networks)}},
                  list == "allow"
                      ? fmt::format("may log in from {}", empty ? "everywhere" : text)
                      : fmt::format("may not log in from {}", empty ? "nowhere: all are let in" : text));
}

struct ProtocolArguments {
    std::string name;
    std::vector<std::string> protocols;
};

Result<int> set_protocols(Program& program, const ProtocolArguments& arguments) {
    json::array protocols(arguments.protocols.begin(), arguments.protocols.end());
    const bool none = arguments.protocols == std::vector<std::string>{"none"};
    if (none) protocols.clear();
    return change(program, "account.change", {{"name", arguments.name}, {"protocols", std::move(protocols)}},
                  none ? "may not log in by any protocol"
                       : fmt::format("may log in by {}", boost::algorithm::join(arguments.protocols, ", ")));
}

void define_network_commands(Program& program, CLI::App& group) {
    const auto allowing = std::make_shared<NetworkArguments>();
    CLI::App* allows =
        program.command(group, "allow", "Say from which networks an account may log in.",
                        [&program, allowing] { return set_networks(program, *allowing, "allow", "any"); });
    argument(*allows, "ACCOUNT", allowing->name, "The account.");
    arguments(*allows, "NETWORK", allowing->networks, "As in 192.0.2.0/24; these and no others. Or any.");

    const auto denying = std::make_shared<NetworkArguments>();
    CLI::App* denies =
        program.command(group, "deny", "Say from which networks an account may not log in.",
                        [&program, denying] { return set_networks(program, *denying, "deny", "none"); });
    argument(*denies, "ACCOUNT", denying->name, "The account.");
    arguments(*denies, "NETWORK", denying->networks, "As in 192.0.2.0/24, though they are allowed. Or none.");

    const auto limiting = std::make_shared<ProtocolArguments>();
    CLI::App* limits = program.command(group, "protocols", "Say by which protocols an account may log in.",
                                       [&program, limiting] { return set_protocols(program, *limiting); });
    argument(*limits, "ACCOUNT", limiting->name, "The account.");
    arguments(*limits, "PROTOCOL", limiting->protocols,
              "As in pop3 or submission; these and no others. Or all, or none.");
}

void define_settings_commands(Program& program, CLI::App& group) {
    const auto changing = std::make_shared<ChangeArguments>();
    CLI::App* changes = program.command(group, "change", "Change an account's settings.",
                                        [&program, changing] { return change_settings(program, *changing); });
    argument(*changes, "ACCOUNT", changing->name, "The account.");
    option(*changes, "--quota", changing->quota, "SIZE",
           "The most that all of its mail may take, as in \"2 GiB\"; or none.");
    allow_words(
        *option(*changes, "--exclusive", changing->exclusive, "", "Allow one POP3 session at a time."),
        {"on", "off"});
    allow_words(*option(*changes, "--app-passwords-only", changing->app_passwords_only, "",
                        "Take no password but app passwords from mail programs."),
                {"on", "off"});

    allow_words(*option(*changes, "--master", changing->master, "",
                        "For administrators: let it log in as every other account, as OTHER*ACCOUNT."),
                {"on", "off"});

    changes
        ->add_option("--forward", changing->forward,
                     "Who gets its mail too: accounts, or addresses of other servers. Replaces what was set "
                     "before; none: nobody.")
        ->type_name("ADDRESS");
    CLI::Option* keep = changes->add_flag("--keep-copy", changing->keep_copy,
                                          "While it forwards: it gets its mail as well, as at first.");
    changes->add_flag("--no-copy", changing->no_copy, "While it forwards: it gets no mail itself.")
        ->excludes(keep);
    option(*changes, "--send-as", changing->send_as, "ADDRESS,...",
           "As whom it may send mail beside its own addresses: addresses, @example.org for all of a domain, "
           "any, "
           "or none.");

    const auto disabling = std::make_shared<ChangeArguments>();
    CLI::App* disables = program.command(
        group, "disable", "Let nobody log in to an account; its mail still arrives.", [&program, disabling] {
            return change(program, "account.disable",
                          {{"name", disabling->name}, {"text", disabling->reason}}, "disabled");
        });
    argument(*disables, "ACCOUNT", disabling->name, "The account.");
    option(*disables, "--reason", disabling->reason, "TEXT", "What the client is told.");

    const auto enabling = std::make_shared<std::string>();
    CLI::App* enables =
        program.command(group, "enable", "Let an account log in again.", [&program, enabling] {
            return change(program, "account.enable", {{"name", *enabling}}, "enabled");
        });
    argument(*enables, "ACCOUNT", *enabling, "The account.");
}

}  // namespace

void define_account_commands(Program& program) {
    CLI::App* group = program.command(program.app(), "account", "Manage accounts.", nullptr);

    const auto adding = std::make_shared<AddArguments>();
    CLI::App* adds = program.command(*group, "add", "Add an account.",
                                     [&program, adding] { return add(program, *adding); });
    argument(*adds, "ACCOUNT", adding->name,
             "How it logs in: a name, or an address in a domain of this server.");
    option(*adds, "--quota", adding->quota, "SIZE",
           "The most that all of its mail may take, as in \"2 GiB\"; or none.");
    adds->add_flag("--exclusive", adding->exclusive, "Allow one POP3 session at a time.");
    define_password_options(*adds, adding->password);

    program.command(*group, "list", "List all accounts.", [&program] { return list(program); });

    const auto showing = std::make_shared<std::string>();
    CLI::App* shows = program.command(*group, "show", "Show one account.",
                                      [&program, showing] { return show(program, *showing); });
    argument(*shows, "ACCOUNT", *showing, "The account.");

    const auto passwording = std::make_shared<PasswordArguments>();
    CLI::App* passwords =
        program.command(*group, "passwd", "Set an account's password.",
                        [&program, passwording] { return set_password(program, *passwording); });
    argument(*passwords, "ACCOUNT", passwording->name, "The account.");
    define_password_options(*passwords, passwording->password);

    define_messages_command(program, *group);
    define_settings_commands(program, *group);
    define_network_commands(program, *group);
    define_app_password_commands(program, *group);
    define_second_factor_commands(program, *group);

    const auto forgetting = std::make_shared<std::string>();
    CLI::App* forgets =
        program.command(*group, "forget",
                        "Forget what the back ends have said a short while ago, so that they are asked anew.",
                        [&program, forgetting] { return forget(program, *forgetting); });
    argument(*forgets, "ACCOUNT", *forgetting, "The account; all of them if none is named.")->required(false);

    const auto removing = std::make_shared<RemoveArguments>();
    CLI::App* removes = program.command(*group, "remove", "Remove an account with all its mail, for good.",
                                        [&program, removing] { return remove(program, *removing); });
    argument(*removes, "ACCOUNT", removing->name, "The account.");
    removes->add_flag("--yes", removing->yes, "Do not ask.");
}

}  // namespace pier::program
