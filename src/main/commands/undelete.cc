// pier undelete
#include <algorithm>

#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "base/time.h"
#include "main/commands/commands.h"
#include "main/quantity.h"

namespace pier::program {
namespace {

struct Arguments {
    std::string account, since;
    bool dry_run = false;
};

// A day, or how long ago.
Result<Time> time_of(const std::string& text) {
    if (const auto day = parse_day(text)) return *day;
    if (const auto ago = parse_duration(text)) {
        const auto now = std::chrono::floor<std::chrono::seconds>(system_now().time_since_epoch());
        const auto since_1970 = static_cast<std::uint64_t>(now.count());
        return Time(std::chrono::seconds(since_1970 - std::min(*ago, since_1970)));
    }
    return Error(ErrorKind::invalid,
                 fmt::format("\"{}\" is neither a day, as 2027-01-31, nor a time, as 3d", text));
}

Result<int> undelete(Program& program, const Arguments& arguments) {
    const auto since = time_of(arguments.since);
    if (!since) return since.error();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since->time_since_epoch()).count();
    const auto answer = program.call("mail.undelete", {{"account", arguments.account},
                                                       {"since_s", static_cast<std::uint64_t>(seconds)},
                                                       {"dry_run", arguments.dry_run}});
    if (!answer) return answer.error();
    const auto messages = answer->at("messages").to_number<std::uint64_t>();
    const std::string text =
        messages == 0 ? fmt::format("nothing that {} deleted since then is kept; pop3.deleted says what is\n",
                                    arguments.account)
                      : fmt::format("{} messages ({}) {} in the INBOX of {}\n", messages,
                                    about_octets(answer->at("octets").to_number<std::uint64_t>()),
                                    arguments.dry_run ? "would be again" : "are again", arguments.account);
    program.say(text, *answer);
    return exit_code::fine;
}

}  // namespace

void define_undelete_command(Program& program) {
    const auto values = std::make_shared<Arguments>();
    CLI::App* command =
        program.command(program.app(), "undelete", "Bring back mail that a POP3 client has deleted.",
                        [&program, values] { return undelete(program, *values); });
    argument(*command, "ACCOUNT", values->account, "The account.");
    option(*command, "--since", values->since, "WHEN",
           "What was deleted on that day or later: 2027-01-31 (UTC), or so long ago, as in 3d.")
        ->required();
    command->add_flag("--dry-run", values->dry_run, "Only say how much there is.");
    command->footer(
        "There is something to bring back if pop3.deleted is \"hidden\" (for pop3.hidden_days) or \"trash\". "
        "Clients "
        "fetch it as new mail.");
}

}  // namespace pier::program
