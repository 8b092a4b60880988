// pier store verify|rebuild|stats
#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "main/commands/commands.h"
#include "main/progress_bar.h"
#include "main/quantity.h"
#include "main/store_options.h"

namespace pier::program {
namespace {

namespace json = boost::json;

// The store's options, once nobody else has the store.
Result<store::LogStoreOptions> offline_store(Program& program, std::string_view doing) {
    const auto config = program.config();
    if (!config) return config.error();
    const auto runs = server_runs(**config);
    if (!runs) return runs.error();
    if (*runs)
        return Error(
            ErrorKind::busy,
            fmt::format(
                "the server is running and has the store; stop it (systemctl stop pier), then {} again",
                doing));
    if (auto prepared = prepare_store_access(**config); !prepared) return prepared.error();
    return store_options(**config);
}

Result<int> verify(Program& program) {
    const auto options = offline_store(program, "verify");
    if (!options) return options.error();
    Result<store::VerifyReport> report = store::VerifyReport();
    {
        ProgressBar bar(program.terminal());
        report = store::verify_log_store(*options, [&](std::uint64_t done, std::uint64_t total) {
            bar.draw(done, total, fmt::format("{} of {} verified", about_octets(done), about_octets(total)));
        });
    }
    if (!report) return report.error();
    std::string text;
    for (const std::string& problem : report->problems)
        text += problem + "\n";
    text += fmt::format(
        "{} segments, {} records, {} messages, {}: {}\n", report->segments, report->records, report->messages,
        about_octets(report->octets),
        report->problems.empty() ? "all is well" : fmt::format("{} problems", report->problems.size()));
    program.say(text,
                json::object{{"segments", report->segments},
                             {"records", report->records},
                             {"messages", report->messages},
                             {"octets", report->octets},
                             {"problems", json::array(report->problems.begin(), report->problems.end())}});
    return report->problems.empty() ? exit_code::fine : exit_code::failed;
}

Result<int> rebuild(Program& program) {
    const auto options = offline_store(program, "rebuild");
    if (!options) return options.error();
    Result<void> done;
    {
        ProgressBar bar(program.terminal());
        done = store::rebuild_log_store(*options, [&](std::uint64_t octets, std::uint64_t total) {
            bar.draw(octets, total, fmt::format("{} of {} read", about_octets(octets), about_octets(total)));
        });
    }
    if (!done) return done.error();
    program.say("the index was made anew from the segments\n", json::object{{"rebuilt", true}});
    return exit_code::fine;
}

Result<int> stats(Program& program) {
    const auto answer = program.call("store.stats", {});
    if (!answer) return answer.error();
    const auto number = [&](std::string_view name) { return answer->at(name).to_number<std::uint64_t>(); };
    program.say(
        fmt::format(
            "accounts   {}\nmailboxes  {}\nmessages   {}\nsegments   {}\non disk    {}\nalive      {}\n",
            number("accounts"), number("mailboxes"), number("messages"), number("segments"),
            about_octets(number("segment_octets")), about_octets(number("live_octets"))),
        *answer);
    return exit_code::fine;
}

}  // namespace

void define_store_commands(Program& program) {
    CLI::App* group = program.command(program.app(), "store", "Look after the store.", nullptr);
    program.command(*group, "verify",
                    "Read everything and compare it with its checksums and the index; changes nothing. The "
                    "server must not run.",
                    [&program] { return verify(program); });
    program.command(*group, "rebuild", "Make the index anew from the segments. The server must not run.",
                    [&program] { return rebuild(program); });
    program.command(*group, "stats", "Print the store's figures.", [&program] { return stats(program); });
}

}  // namespace pier::program
