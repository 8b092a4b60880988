#include "admin/app_password_methods.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include "admin/params.h"
#include "base/log.h"

namespace pier::admin {

namespace json = boost::json;

namespace {

using auth::AppPassword;

// The first moment behind that day, in UTC.
Result<Time> end_of_day(std::string_view text) {
    if (const auto day = parse_day(text)) return *day + std::chrono::days(1);
    return Error{ErrorKind::invalid,
                 fmt::format("\"{}\" is no day; write it as 2027-01-31", text.substr(0, 40))};
}

std::string time_text(Time time) {
    return time == Time() ? "" : to_rfc3339(time);
}

json::object to_json(const AppPassword& one) {
    const auto networks = texts_of(one.networks);
    return {{"name", one.name},
            {"protocols", json::array(one.protocols.begin(), one.protocols.end())},
            {"networks", json::array(networks.begin(), networks.end())},
            {"until", time_text(one.until)},
            {"created", to_rfc3339(one.created)},
            {"used", time_text(one.used)}};
}

Result<json::value> add(auth::Directory& directory, const Call& call) {
    Params params(call.params);
    const std::string account = params.text("account");
    AppPassword fresh;
    fresh.name = params.text("name");
    fresh.protocols = params.maybe_texts("protocols").value_or(std::vector<std::string>());
    const auto networks = params.maybe_texts("networks").value_or(std::vector<std::string>());
    const std::string until = params.maybe_text("until").value_or("");
    if (auto good = params.finish(); !good) return good.error();
    auto parsed = parse_networks(networks);
    if (!parsed) return parsed.error();
    fresh.networks = std::move(*parsed);
    fresh.created = system_now();
    if (!until.empty()) {
        const auto end = end_of_day(until);
        if (!end) return end.error();
        if (*end <= fresh.created) return Error{ErrorKind::invalid, fmt::format("{} is over already", until)};
        fresh.until = *end;
    }
    std::string password = auth::make_app_password();
    fresh.hash = *auth::app_password_hash(password);
    const auto added = directory.add_app_password(account, fresh);
    if (!added) return added.error();
    log::info("account.app_password.added", {{"account", (*added)->name}, {"name", fresh.name}});
    json::object out = to_json(fresh);
    out["password"] = password;
    auth::wipe(password);
    return json::value(std::move(out));
}

Result<json::value> list(const auth::Directory& directory, const Call& call) {
    Params params(call.params);
    const std::string name = params.text("account");
    if (auto good = params.finish(); !good) return good.error();
    const auth::AccountPtr account = directory.find(name);
    if (!account)
        return Error{ErrorKind::not_found,
                     fmt::format("there is no account {}; 'pier account list' shows all", name)};
    json::array all;
    for (const AppPassword& one : account->app_passwords)
        all.push_back(to_json(one));
    return json::value(json::object{{"app_passwords", std::move(all)}});
}

Result<json::value> revoke(auth::Directory& directory, const Call& call) {
    Params params(call.params);
    const std::string account = params.text("account"), name = params.text("name");
    if (auto good = params.finish(); !good) return good.error();
    const auto changed = directory.remove_app_password(account, name);
    if (!changed) return changed.error();
    log::info("account.app_password.revoked", {{"account", (*changed)->name}, {"name", name}});
    return json::value(json::object{});
}

}  // namespace

void add_app_password_methods(Api& api, auth::Directory& directory) {
    api.add("account.app_password.add", [&](const Call& call) { return add(directory, call); });
    api.add("account.app_password.list", [&](const Call& call) { return list(directory, call); });
    api.add("account.app_password.revoke", [&](const Call& call) { return revoke(directory, call); });
}

}  // namespace pier::admin
