// pier history
#include <memory>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <pwd.h>

#include "main/commands/commands.h"
#include "main/quantity.h"

namespace pier::program {
namespace {

namespace json = boost::json;

struct HistoryArguments {
    std::string subject, what, since;
    std::uint64_t count = 50;
};

std::string text_in(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::string who_text(const json::object& change) {
    const json::value* user = change.if_contains("user");
    if (user == nullptr) return "the server itself";
    const auto id = user->to_number<std::uint32_t>();
    const passwd* entry = ::getpwuid(id);
    std::string text = entry != nullptr ? entry->pw_name : fmt::format("user {}", id);
    if (const std::string other = text_in(change, "for"); !other.empty())
        text += fmt::format(" for {}", other);
    return text;
}

std::string change_text(const json::object& change) {
    const std::string subject = text_in(change, "subject"), by = text_in(change, "by");
    std::string text = fmt::format("{}  {}{}{}  by {}{}\n", text_in(change, "at"), text_in(change, "what"),
                                   subject.empty() ? "" : " ", subject, who_text(change),
                                   by.empty() ? "" : fmt::format(" ({})", by));
    if (const std::string note = text_in(change, "note"); !note.empty())
        text += fmt::format("    {}\n", note);
    if (const json::value* all = change.if_contains("differences"))
        for (const json::value& value : all->as_array()) {
            const json::object& one = value.as_object();
            const std::string key = text_in(one, "key");
            if (one.contains("before")) text += fmt::format("  - {} = {}\n", key, text_in(one, "before"));
            if (one.contains("after")) text += fmt::format("  + {} = {}\n", key, text_in(one, "after"));
        }
    if (const json::value* more = change.if_contains("left_out"))
        text += fmt::format("    and {} more that were left out\n", more->to_number<std::uint64_t>());
    return text;
}

Result<int> history(Program& program, const HistoryArguments& arguments) {
    json::object params;
    if (!arguments.subject.empty()) params["subject"] = arguments.subject;
    if (!arguments.what.empty()) params["what"] = arguments.what;
    if (!arguments.since.empty()) {
        const auto seconds = parse_duration(arguments.since);
        if (!seconds) return Error(ErrorKind::invalid, "--since: " + seconds.error().text);
        params["since_s"] = *seconds;
    }
    params["count"] = arguments.count;
    const auto answer = program.call("changes.list", std::move(params));
    if (!answer) return answer.error();
    const json::object& kept = answer->as_object();
    std::string text;
    if (const auto older = kept.at("older").to_number<std::uint64_t>(); older > 0)
        text = fmt::format("({} older ones are not shown; --count shows more)\n\n", older);
    const json::array& changes = kept.at("changes").as_array();
    for (const json::value& change : changes)
        text += change_text(change.as_object());
    if (changes.empty()) text += "no such change is recorded\n";
    if (const auto lines = kept.at("unreadable").to_number<std::uint64_t>(); lines > 0)
        text += fmt::format(
            "\n{} {} of the record cannot be read: cut off when the machine stopped, or damaged\n", lines,
            lines == 1 ? "line" : "lines");
    program.say(text, *answer);
    return exit_code::fine;
}

}  // namespace

void define_history_command(Program& program) {
    const auto arguments = std::make_shared<HistoryArguments>();
    CLI::App* command = program.command(
        program.app(), "history",
        "Shows what was changed of the configuration, the certificates, the listeners, the accounts, aliases "
        "and domains: when, by whom, and how it was before.",
        [&program, arguments] { return history(program, *arguments); });
    argument(*command, "SUBJECT", arguments->subject, "Only of this account, alias or domain.")
        ->required(false);
    allow_words(*option(*command, "--what", arguments->what, "KIND", "Only of this kind."),
                {"configuration", "certificate", "listeners", "account", "alias", "domain"});
    option(*command, "--since", arguments->since, "DURATION", "Only of the last time, as 2h or 30d.");
    command->add_option("-n,--count", arguments->count, "How many at most: the latest (50).")
        ->type_name("NUMBER")
        ->check(CLI::Range(1, 10'000));
}

}  // namespace pier::program
