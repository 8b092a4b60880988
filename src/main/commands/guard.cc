// pier guard list|block|unblock|explain
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "main/commands/commands.h"
#include "main/quantity.h"

namespace pier::program {
namespace {

namespace json = boost::json;

std::string text_of(const json::value& value) {
    return std::string(value.as_string());
}

std::string block_table(const json::array& blocks) {
    std::vector<std::vector<std::string>> rows{{"WHAT", "ADDRESS", "ACCOUNT", "UNTIL", "REASON"}};
    for (const json::value& block : blocks) {
        const auto cell = [&](std::string_view name) {
            const std::string text = text_of(block.at(name));
            return text.empty() ? std::string("-") : text;
        };
        rows.push_back({cell("what"), cell("address"), cell("account"), cell("until"), cell("reason")});
    }
    return table(rows);
}

Result<int> list(Program& program) {
    const auto answer = program.call("guard.list", {});
    if (!answer) return answer.error();
    const json::array& blocks = answer->at("blocks").as_array();
    std::string text = blocks.empty() ? "nobody is blocked\n" : block_table(blocks);
    text += fmt::format("counted: {} addresses, {} accounts, {} of both together\n",
                        answer->at("addresses").to_number<std::uint64_t>(),
                        answer->at("accounts").to_number<std::uint64_t>(),
                        answer->at("logins").to_number<std::uint64_t>());
    program.say(text, *answer);
    return exit_code::fine;
}

struct BlockArguments {
    std::string network, time, reason;
};

Result<int> block(Program& program, const BlockArguments& arguments) {
    json::object params{{"network", arguments.network}};
    if (!arguments.time.empty()) {
        const auto seconds = parse_duration(arguments.time);
        if (!seconds) return Error(ErrorKind::invalid, "--for: " + seconds.error().text);
        params["seconds"] = *seconds;
    }
    if (!arguments.reason.empty()) params["reason"] = arguments.reason;
    const auto answer = program.call("guard.block", std::move(params));
    if (!answer) return answer.error();
    program.say(fmt::format("{} is blocked for {}\n", text_of(answer->at("network")),
                            format_duration(answer->at("seconds").to_number<std::uint64_t>())),
                *answer);
    return exit_code::fine;
}

struct UnblockArguments {
    std::string network, account;
};

Result<int> unblock(Program& program, const UnblockArguments& arguments) {
    json::object params;
    if (!arguments.network.empty()) params["network"] = arguments.network;
    if (!arguments.account.empty()) params["account"] = arguments.account;
    if (params.empty()) return Error(ErrorKind::invalid, "name an address, a network, or --account NAME");
    const auto answer = program.call("guard.unblock", std::move(params));
    if (!answer) return answer.error();
    const auto ended = answer->at("ended").to_number<std::uint64_t>();
    program.say(ended == 0
                    ? "it was not blocked; what was counted there is forgotten (\"pier guard list\" shows "
                      "all blocks)\n"
                    : fmt::format("{} {} ended\n", ended, ended == 1 ? "block" : "blocks"),
                *answer);
    return exit_code::fine;
}

struct ExplainArguments {
    std::string address, account;
};

std::string explanation(const json::object& answer) {
    const auto number = [&](std::string_view name) { return answer.at(name).to_number<double>(); };
    std::string text;
    const auto line = [&](std::string_view what, std::string_view value) {
        text += fmt::format("{:<15} {}\n", what, value);
    };
    line("address", text_of(answer.at("address")));
    if (!answer.at("guard").as_bool()) line("guard", "switched off (guard.enabled)");
    line("counted as",
         answer.at("shared").as_bool()
             ? fmt::format("{}, which is shared: never blocked by itself", text_of(answer.at("counted_as")))
             : text_of(answer.at("counted_as")));
    line("connections", answer.at("connects").as_bool() ? "let in" : "closed at once");
    line("wrong passwords", fmt::format("{:.1f}", number("failures")));
    line("scans", fmt::format("{:.1f}", number("scans")));
    std::string known;
    for (const json::value& account : answer.at("known_accounts").as_array())
        known += (known.empty() ? "" : ", ") + text_of(account);
    line("known to", known.empty() ? "no account" : known);
    if (answer.contains("account")) {
        line("account", fmt::format("{} ({} logged in from here)", text_of(answer.at("account")),
                                    answer.at("known").as_bool() ? "has" : "has not"));
        line("  from here", fmt::format("{:.1f} wrong passwords", number("login_failures")));
        line("  in all", fmt::format("{:.1f} wrong passwords", number("account_failures")));
        line("  a login is", text_of(answer.at("login")));
    }
    const json::array& blocks = answer.at("blocks").as_array();
    if (!blocks.empty()) text += block_table(blocks);
    return text;
}

Result<int> explain(Program& program, const ExplainArguments& arguments) {
    json::object params{{"address", arguments.address}};
    if (!arguments.account.empty()) params["account"] = arguments.account;
    const auto answer = program.call("guard.explain", std::move(params));
    if (!answer) return answer.error();
    program.say(explanation(answer->as_object()), *answer);
    return exit_code::fine;
}

}  // namespace

void define_guard_commands(Program& program) {
    CLI::App* group =
        program.command(program.app(), "guard", "Who is kept out for guessing or scanning.", nullptr);
    program.command(*group, "list", "List what is blocked.", [&program] { return list(program); });

    const auto blocking = std::make_shared<BlockArguments>();
    CLI::App* blocks =
        program.command(*group, "block", "Close connections from an address or network at once.",
                        [&program, blocking] { return block(program, *blocking); });
    argument(*blocks, "ADDRESS", blocking->network, "An IP address, or a network as in 192.0.2.0/24.");
    option(*blocks, "--for", blocking->time, "DURATION", "How long, as in \"2h\"; a day by default.");
    option(*blocks, "--reason", blocking->reason, "TEXT", "For those who read the list.");

    const auto unblocking = std::make_shared<UnblockArguments>();
    CLI::App* unblocks = program.command(*group, "unblock", "End blocks, and forget what was counted.",
                                         [&program, unblocking] { return unblock(program, *unblocking); });
    argument(*unblocks, "ADDRESS", unblocking->network, "An IP address or a network: all blocks within it.")
        ->required(false);
    option(*unblocks, "--account", unblocking->account, "NAME", "The blocks of an account instead.");

    const auto explaining = std::make_shared<ExplainArguments>();
    CLI::App* explains =
        program.command(*group, "explain", "Say what a connection from an address meets, and why.",
                        [&program, explaining] { return explain(program, *explaining); });
    argument(*explains, "ADDRESS", explaining->address, "An IP address.");
    option(*explains, "--account", explaining->account, "NAME", "Also what a login to this account meets.");
}

}  // namespace pier::program
