#include "main/watch_methods.h"

#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>
#include <fmt/format.h>

#include "admin/params.h"

namespace pier::program {
namespace {

namespace json = boost::json;
using admin::Call;
using admin::Params;

constexpr std::uint64_t points_most = 5000, points_usual = 1500;
constexpr std::uint64_t since_s_usual = 24 * 3600, since_s_most = 3ull * 366 * 24 * 3600;

json::value time_or_null(const std::optional<Time>& time) {
    return time ? json::value(json::string(to_rfc3339(*time))) : json::value();
}

json::value ms_or_null(const std::optional<double>& seconds) {
    constexpr double ms_in_s = 1000;
    return seconds ? json::value(*seconds * ms_in_s) : json::value();
}

json::object describe(const watch::Finding& finding) {
    return {{"severity", watch::to_string(finding.severity)},
            {"code", finding.code},
            {"what", finding.what},
            {"evidence", finding.evidence},
            {"step", finding.step}};
}

json::object describe(const watch::Point& point) {
    const auto at_s = std::chrono::duration_cast<std::chrono::seconds>(point.at.time_since_epoch()).count();
    return {{"time", to_rfc3339(point.at)},
            {"at_s", at_s},
            {"step_s", point.step.count()},
            {"count", point.count},
            {"min", point.min},
            {"mean", point.mean},
            {"max", point.max},
            {"last", point.last}};
}

Result<json::value> points_of(const watch::History& history, const Clock& clock, const Call& call) {
    Params params(call.params);
    const std::string series = params.text("series");
    const auto since_s = params.maybe_number("since_s").value_or(since_s_usual);
    const auto most = params.maybe_number("points_max").value_or(points_usual);
    if (auto good = params.finish(); !good) return good.error();
    if (since_s > since_s_most || most == 0 || most > points_most)
        return Error(ErrorKind::invalid,
                     fmt::format("\"since_s\" is at most {}, and \"points_max\" from 1 to {}", since_s_most,
                                 points_most));
    const Time now = clock();
    const auto points = history.points(series, now - std::chrono::seconds(since_s), now, now, most);
    if (!points) return points.error();
    json::array all;
    for (const watch::Point& point : *points)
        all.push_back(describe(point));
    return json::value(json::object{{"series", series}, {"points", std::move(all)}});
}

}  // namespace

json::object describe(const watch::WatchState& state) {
    json::array findings;
    for (const watch::Finding& finding : state.findings)
        findings.push_back(describe(finding));
    json::object phases;
    for (const watch::Phase& phase : state.phases)
        phases[phase.name] = std::chrono::duration<double, std::milli>(phase.time).count();
    const auto worst = state.worst();
    return {{"target", state.name},
            {"what", state.what},
            {"own", state.own},
            {"state", state.paused    ? "paused"
                      : state.looking ? "looking"
                      : state.looked  ? "waiting"
                                      : "not looked at yet"},
            {"looked", time_or_null(state.looked)},
            {"next", time_or_null(state.next)},
            {"up", state.looked ? json::value(state.up) : json::value()},
            {"worst", worst ? json::value(json::value_from(watch::to_string(*worst))) : json::value()},
            {"total_ms", ms_or_null(state.total_s)},
            {"usual_ms", ms_or_null(state.usual_s)},
            {"phases_ms", std::move(phases)},
            {"certificate_until", time_or_null(state.certificate_until)},
            {"looks", state.looks},
            {"failed", state.failed},
            {"findings", std::move(findings)}};
}

void add_watch_methods(admin::Api& api, FindWatcher find) {
    api.add("watch.status", [find = std::move(find)](const Call& call) -> Result<json::value> {
        if (auto good = Params(call.params).finish(); !good) return good.error();
        json::array targets;
        if (const watch::Watcher* watcher = find())
            for (const watch::WatchState& state : watcher->states())
                targets.push_back(describe(state));
        return json::value(json::object{{"targets", std::move(targets)}});
    });
}

void add_history_methods(admin::Api& api, const watch::History* history, Clock clock) {
    const auto none = [] {
        return Error(ErrorKind::not_found,
                     "there is no history: its folder could not be opened at the start; look for "
                     "history.off in the log");
    };
    api.add("history.series", [history, none](const Call& call) -> Result<json::value> {
        if (auto good = Params(call.params).finish(); !good) return good.error();
        if (!history) return none();
        const auto names = history->series();
        return json::value(json::object{{"series", json::array(names.begin(), names.end())}});
    });
    api.add("history.points",
            [history, none, clock = std::move(clock)](const Call& call) -> Result<json::value> {
                if (!history) return none();
                return points_of(*history, clock, call);
            });
}

}  // namespace pier::program
