// pier watch, pier probe --history
#include <memory>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <sys/stat.h>

#include "main/commands/commands.h"
#include "main/history_text.h"
#include "main/quantity.h"
#include "main/watch_methods.h"

namespace pier::program {
namespace {

namespace json = boost::json;

constexpr std::uint64_t points_of_table = 600, points_of_json = 5000;

std::string text_of(const json::value& value) {
    return value.is_string() ? std::string(value.as_string()) : std::string();
}

// ---- pier watch ----

std::string clock_text(const json::value& time) {
    const std::string text = text_of(time);
    constexpr std::size_t begin = 11, octets = 8;  // of "2026-11-21T20:38:26Z"
    return text.size() < begin + octets ? "-" : text.substr(begin, octets);
}

std::string ms_text(const json::value& value) {
    return value.is_null() ? "-" : fmt::format("{:.1f} ms", value.to_number<double>());
}

std::string is_text(const json::object& target) {
    if (target.at("looked").is_null()) return text_of(target.at("state"));
    const std::string worst = text_of(target.at("worst"));
    return worst.empty() || worst == "note" ? "well" : worst == "warning" ? "WARNING" : "CRITICAL";
}

std::string first_finding(const json::object& target) {
    for (const json::value& finding : target.at("findings").as_array())
        if (text_of(finding.at("severity")) != "note") return text_of(finding.at("what"));
    return {};
}

std::string watch_text(const json::array& targets) {
    std::vector<std::vector<std::string>> rows{
        {"TARGET", "SPEAKS", "LAST LOOK", "TIME", "USUAL", "NEXT", "IS", ""}};
    for (const json::value& value : targets) {
        const json::object& target = value.as_object();
        rows.push_back(
            {text_of(target.at("target")), text_of(target.at("what")), clock_text(target.at("looked")),
             ms_text(target.at("total_ms")), ms_text(target.at("usual_ms")),
             target.at("next").is_null() ? text_of(target.at("state")) : clock_text(target.at("next")),
             is_text(target), first_finding(target)});
    }
    std::string text = table(rows);
    for (const json::value& value : targets) {
        for (const json::value& finding : value.at("findings").as_array()) {
            if (text_of(finding.at("severity")) == "note") continue;
            const std::string evidence = text_of(finding.at("evidence"));
            text += fmt::format("\n{}  {} ({})\n    {}{}-> {}\n", text_of(value.at("target")),
                                text_of(finding.at("what")), text_of(finding.at("severity")), evidence,
                                evidence.empty() ? "" : "\n    ", text_of(finding.at("step")));
        }
    }
    return text;
}

Result<int> show_watch(Program& program) {
    const auto config = program.config();
    if (!config) return config.error();
    const auto runs = server_runs(**config);
    if (!runs) return runs.error();
    if (!*runs)
        return Error(
            ErrorKind::not_found,
            "no server runs, and it is the server that watches; `pier probe` looks once, `pier probe "
            "--history` shows what was measured");
    const auto answer = program.call("watch.status", {});
    if (!answer) return answer.error();
    const json::array& targets = answer->at("targets").as_array();
    program.say(
        targets.empty() ? "nothing is watched: see [watch] in the configuration\n" : watch_text(targets),
        *answer);
    bool bad = false;
    for (const json::value& target : targets) {
        const std::string is = is_text(target.as_object());
        bad = bad || is == "WARNING" || is == "CRITICAL";
    }
    return bad ? exit_code::failed : exit_code::fine;
}

// ---- pier probe --history ----

// Calls of the history's methods: to the server that runs, or on the files.
class HistorySource {
  public:
    static Result<std::unique_ptr<HistorySource>> open(Program& program) {
        const auto config = program.config();
        if (!config) return config.error();
        const auto runs = server_runs(**config);
        if (!runs) return runs.error();
        std::unique_ptr<HistorySource> source(new HistorySource(program));
        if (*runs) return source;
        const std::string folder = (*config)->server.data_folder + "/history";
        struct stat status {};
        if (::stat(folder.c_str(), &status) != 0)
            return Error(
                ErrorKind::not_found,
                fmt::format("nothing was measured yet: there is no {}; a running server measures", folder));
        if (auto prepared = prepare_store_access(**config); !prepared) return prepared.error();
        auto history = watch::History::open(folder);
        if (!history) return history.error();
        source->history_ = std::move(*history);
        add_history_methods(source->api_, source->history_.get(), system_now);
        return source;
    }

    Result<json::value> call(std::string_view method, json::object params) {
        if (history_) return api_.call(method, params);
        return program_.call(method, std::move(params));
    }

  private:
    explicit HistorySource(Program& program) : program_(program) {}

    Program& program_;
    std::unique_ptr<watch::History> history_;  // null: a server runs
    admin::Api api_;
};

watch::Point point_of(const json::value& value) {
    const auto number = [&](const char* name) { return value.at(name).to_number<double>(); };
    watch::Point point;
    point.at = Time(std::chrono::seconds(value.at("at_s").to_number<std::int64_t>()));
    point.step = std::chrono::seconds(value.at("step_s").to_number<std::int64_t>());
    point.count = value.at("count").to_number<std::uint32_t>();
    point.min = number("min");
    point.max = number("max");
    point.mean = number("mean");
    point.last = number("last");
    return point;
}

}  // namespace

Result<int> show_history(Program& program, const std::vector<std::string>& wanted, const std::string& since) {
    const auto since_s = parse_duration(since);
    if (!since_s) return Error(ErrorKind::invalid, "--since: " + since_s.error().text);
    if (*since_s == 0) return Error(ErrorKind::invalid, "--since is at least a minute, as 30m or 2d");
    const auto source = HistorySource::open(program);
    if (!source) return source.error();
    const auto names = (*source)->call("history.series", {});
    if (!names) return names.error();
    const Time now = system_now();
    std::vector<ShownSeries> shown;
    json::array all;
    for (const json::value& name : names->at("series").as_array()) {
        ShownSeries series{text_of(name), {}};
        if (!is_wanted(series, wanted)) continue;
        auto answer = (*source)->call("history.points",
                                      {{"series", series.name},
                                       {"since_s", *since_s},
                                       {"points_max", program.json() ? points_of_json : points_of_table}});
        if (!answer) return answer.error();
        for (const json::value& point : answer->at("points").as_array())
            series.points.push_back(point_of(point));
        if (program.json()) all.push_back(std::move(*answer));
        shown.push_back(std::move(series));
    }
    if (shown.empty() && !wanted.empty())
        return Error(ErrorKind::not_found,
                     fmt::format("nothing was measured of {}; `pier probe --history` alone lists what was",
                                 fmt::join(wanted, ", ")));
    program.say(history_text(shown, now - std::chrono::seconds(*since_s), now),
                json::object{{"series", std::move(all)}});
    return exit_code::fine;
}

void define_watch_command(Program& program) {
    CLI::App* command = program.command(program.app(), "watch",
                                        "Print what the running server watches ([watch]), and how it is.",
                                        [&program] { return show_watch(program); });
    command->footer("Times of day are UTC. Exits 1 if there is a finding that is more than a note.");
}

}  // namespace pier::program
