// pier store verify|rebuild|stats
#include <filesystem>

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "main/commands/commands.h"
#include "main/progress_bar.h"
#include "main/quantity.h"
#include "main/store_options.h"

namespace pier::program {
namespace {

namespace json = boost::json;

std::string verdict(std::size_t problems) {
    if (problems == 0) return "all is well";
    return fmt::format("{} {}", problems, problems == 1 ? "problem" : "problems");
}

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
    const std::string& folder = (*config)->server.data_folder;
    if (std::error_code error; !std::filesystem::exists(folder, error))
        return Error(ErrorKind::not_found,
                     fmt::format("there is no store at {}; is server.data_folder right?", folder));
    if (auto prepared = prepare_store_access(**config); !prepared) return prepared.error();
    return store_options(**config);
}

// The server has the store: it reads the mail of one account after the other. What is not mail (the index,
// what was removed) is looked at only without a server.
Result<int> verify_online(Program& program) {
    const auto list = program.call("account.list", {});
    if (!list) return list.error();
    const json::array& accounts = list->at("accounts").as_array();
    std::uint64_t octets_total = 0, messages = 0, octets = 0;
    for (const json::value& account : accounts)
        octets_total += account.at("octets").to_number<std::uint64_t>();
    json::array problems;
    ProgressBar bar(program.terminal());
    for (const json::value& account : accounts) {
        bar.draw(octets, octets_total,
                 fmt::format("{} of {} verified", about_octets(octets), about_octets(octets_total)));
        const auto one = program.call("store.verify", {{"account", account.at("id")}});
        if (!one) return one.error();
        messages += one->at("messages").to_number<std::uint64_t>();
        octets += one->at("octets").to_number<std::uint64_t>();
        for (const json::value& problem : one->at("problems").as_array())
            problems.push_back(
                json::value(fmt::format("{}: {}", std::string_view(account.at("name").as_string()),
                                        std::string_view(problem.as_string()))));
    }
    bar.clear();
    std::string text;
    for (const json::value& problem : problems)
        text += std::string(problem.as_string()) + "\n";
    text += fmt::format("{} messages, {}: {}\n", messages, about_octets(octets), verdict(problems.size()));
    text += "the server is running: its index was not looked at; stop it and verify again for that\n";
    const int code = problems.empty() ? exit_code::fine : exit_code::failed;
    program.say(
        text,
        json::object{
            {"messages", messages}, {"octets", octets}, {"problems", std::move(problems)}, {"online", true}});
    return code;
}

Result<int> verify(Program& program) {
    const auto config = program.config();
    if (!config) return config.error();
    const auto runs = server_runs(**config);
    if (!runs) return runs.error();
    if (*runs) return verify_online(program);
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
    text += fmt::format("{} segments, {} records, {} messages, {}: {}\n", report->segments, report->records,
                        report->messages, about_octets(report->octets), verdict(report->problems.size()));
    program.say(text,
                json::object{{"segments", report->segments},
                             {"records", report->records},
                             {"messages", report->messages},
                             {"octets", report->octets},
                             {"online", false},
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
                    "Read everything and compare it with its checksums, and with the index unless the server "
                    "runs; changes nothing.",
                    [&program] { return verify(program); });
    program.command(*group, "rebuild", "Make the index anew from the segments. The server must not run.",
                    [&program] { return rebuild(program); });
    program.command(*group, "stats", "Print the store's figures.", [&program] { return stats(program); });
}

}  // namespace pier::program
