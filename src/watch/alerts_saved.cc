// What a restart must not forget of the alerts, as JSON.
#include <exception>
#include <stdexcept>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "watch/alerts.h"

namespace pier::watch {
namespace {

namespace json = boost::json;

constexpr std::int64_t version = 1;

std::int64_t micros(Time at) {
    return at.time_since_epoch().count();
}
Time time_of(const json::value& value) {
    return Time(std::chrono::microseconds(value.to_number<std::int64_t>()));
}
json::value micros_or_null(const std::optional<Time>& at) {
    return at ? json::value(micros(*at)) : json::value();
}

Severity severity_of(const json::value& value) {
    for (const Severity one : {Severity::note, Severity::warning, Severity::critical})
        if (value.as_string() == to_string(one)) return one;
    throw std::invalid_argument("severity");
}

std::string text_of(const json::object& from, std::string_view name) {
    return std::string(from.at(name).as_string());
}

json::object to_json(const Alert& alert) {
    json::value acknowledged;
    if (const auto& known = alert.acknowledged)
        acknowledged = json::object{
            {"by", known->by}, {"at", micros(known->at)}, {"until", micros_or_null(known->until)}};
    return {{"key", alert.key},
            {"group", alert.group},
            {"ill", alert.state == AlertState::ill},
            {"severity", to_string(alert.severity)},
            {"what", alert.what},
            {"evidence", alert.evidence},
            {"step", alert.step},
            {"since", micros(alert.since)},
            {"flapping", alert.flapping},
            {"told", alert.told ? json::value(json::string(to_string(*alert.told))) : json::value()},
            {"told_at", micros_or_null(alert.told_at)},
            {"acknowledged", std::move(acknowledged)}};
}

// Throws what boost::json throws where something is not as it should be.
Alert alert_of(const json::object& from, Time now) {
    Alert alert;
    alert.key = text_of(from, "key");
    alert.group = text_of(from, "group");
    alert.state = from.at("ill").as_bool() ? AlertState::ill : AlertState::well;
    alert.severity = severity_of(from.at("severity"));
    alert.what = text_of(from, "what");
    alert.evidence = text_of(from, "evidence");
    alert.step = text_of(from, "step");
    alert.since = time_of(from.at("since"));
    alert.flapping = from.at("flapping").as_bool();
    alert.looked_at = now;
    if (!from.at("told").is_null()) alert.told = severity_of(from.at("told"));
    if (!from.at("told_at").is_null()) alert.told_at = time_of(from.at("told_at"));
    if (const json::value& known = from.at("acknowledged"); !known.is_null()) {
        Acknowledgement& one = alert.acknowledged.emplace();
        one.by = text_of(known.as_object(), "by");
        one.at = time_of(known.at("at"));
        if (!known.at("until").is_null()) one.until = time_of(known.at("until"));
    }
    return alert;
}

}  // namespace

std::string Alerts::save() const {
    json::array all;
    for (const auto& [key, kept] : kept_)
        if (kept.alert.state == AlertState::ill || kept.alert.told) all.push_back(to_json(kept.alert));
    return json::serialize(json::object{{"version", version}, {"alerts", std::move(all)}}) + "\n";
}

Result<void> Alerts::load(std::string_view text, Time now) {
    const auto corrupt = [](std::string_view why) {
        return Error(ErrorKind::corrupt,
                     "the saved alerts can't be read (" + std::string(why) + "); what is ill is told anew");
    };
    boost::system::error_code failure;
    const json::value saved = json::parse(text, failure);
    if (failure) return corrupt(failure.message());
    std::map<std::string, Kept, std::less<>> loaded;
    try {
        if (saved.at("version").to_number<std::int64_t>() != version) return corrupt("another version");
        for (const json::value& one : saved.at("alerts").as_array()) {
            if (loaded.size() >= alert_keys_max) return corrupt("too many");
            Kept kept;
            kept.alert = alert_of(one.as_object(), now);
            kept.changed_at = now;
            loaded.insert_or_assign(kept.alert.key, std::move(kept));
        }
    } catch (const std::exception&) {
        return corrupt("a field is missing or of another kind");
    }
    kept_ = std::move(loaded);
    ++revision_;
    return {};
}

}  // namespace pier::watch
