#include "main/alert_methods.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "admin/params.h"

namespace pier::program {
namespace {

namespace json = boost::json;
using admin::Call;
using admin::Params;

constexpr std::uint64_t acknowledged_s_max = 366ull * 24 * 3600;

json::value time_or_null(const std::optional<Time>& time) {
    return time ? json::value(json::string(to_rfc3339(*time))) : json::value();
}

json::value text_or_null(const std::optional<std::string>& text) {
    return text ? json::value(json::string(*text)) : json::value();
}

json::object describe(const watch::Alert& alert) {
    json::value acknowledged;
    if (const auto& known = alert.acknowledged)
        acknowledged = json::object{
            {"by", known->by}, {"at", to_rfc3339(known->at)}, {"until", time_or_null(known->until)}};
    return {{"key", alert.key},
            {"group", alert.group},
            {"state", watch::to_string(alert.state)},
            {"severity", watch::to_string(alert.severity)},
            {"what", alert.what},
            {"evidence", alert.evidence},
            {"step", alert.step},
            {"since", to_rfc3339(alert.since)},
            {"looked", to_rfc3339(alert.looked_at)},
            {"flapping", alert.flapping},
            {"told", time_or_null(alert.told_at)},
            {"acknowledged", std::move(acknowledged)}};
}

json::object describe(const AlertChannels::State& state) {
    return {{"channel", state.name},
            {"kind", to_string(state.kind)},
            {"sent", state.sent},
            {"failed", state.failed},
            {"dropped", state.dropped},
            {"waiting", state.waiting},
            {"last_sent", time_or_null(state.last_sent)},
            {"last_error", state.last_error}};
}

Result<json::value> list(const Alerting& alerting, const Call& call) {
    if (auto good = Params(call.params).finish(); !good) return good.error();
    json::array alerts, channels;
    for (const watch::Alert& alert : alerting.list())
        alerts.push_back(describe(alert));
    for (const AlertChannels::State& state : alerting.channels())
        channels.push_back(describe(state));
    return json::value(json::object{
        {"alerts", std::move(alerts)}, {"channels", std::move(channels)}, {"dropped", alerting.dropped()}});
}

Result<json::value> acknowledge(Alerting& alerting, const Call& call) {
    Params params(call.params);
    const std::string key = params.text("key"), by = params.text("by");
    const auto given_s = params.maybe_number("seconds");
    if (auto good = params.finish(); !good) return good.error();
    if (given_s && (*given_s == 0 || *given_s > acknowledged_s_max))
        return Error(ErrorKind::invalid, fmt::format("\"seconds\" is from 1 to {}", acknowledged_s_max));
    std::optional<std::chrono::seconds> how_long;
    if (given_s) how_long = std::chrono::seconds(*given_s);
    if (auto done = alerting.acknowledge(key, by, how_long); !done) return done.error();
    return json::value(json::object{});
}

Result<json::value> test(Alerting& alerting, const Call& call) {
    Params params(call.params);
    const std::string channel = params.maybe_text("channel").value_or("");
    if (auto good = params.finish(); !good) return good.error();
    const auto tried = alerting.test(channel);
    if (!tried) return tried.error();
    json::array all;
    for (const AlertChannels::Tried& one : *tried)
        all.push_back(json::object{{"channel", one.channel}, {"error", text_or_null(one.error)}});
    return json::value(json::object{{"tried", std::move(all)}});
}

}  // namespace

void add_alert_methods(admin::Api& api, Alerting& alerting) {
    api.add("alert.list", [&alerting](const Call& call) { return list(alerting, call); });
    api.add("alert.ack", [&alerting](const Call& call) { return acknowledge(alerting, call); });
    api.add("alert.test", [&alerting](const Call& call) { return test(alerting, call); });
}

}  // namespace pier::program
