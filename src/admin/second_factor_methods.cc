#include "admin/second_factor_methods.h"

#include <array>

#include <boost/json.hpp>

#include "admin/params.h"
#include "auth/totp.h"
#include "base/log.h"
#include "base/random.h"

namespace pier::admin {

namespace json = boost::json;

namespace {

Result<json::value> start(auth::Directory& directory, const Call& call) {
    Params params(call.params);
    const std::string account = params.text("account");
    if (auto good = params.finish(); !good) return good.error();
    std::array<unsigned char, auth::totp_secret_octets> octets;
    random_bytes(octets);
    std::string secret(octets.begin(), octets.end());
    const auto begun = directory.begin_second_factor(account, secret);
    if (!begun) return begun.error();
    log::info("account.second_factor.started", {{"account", (*begun)->name}});
    json::object out{{"secret", auth::totp_secret_text(secret)},
                     {"uri", auth::totp_uri((*begun)->name, secret)}};
    auth::wipe(secret);
    return json::value(std::move(out));
}

Result<json::value> confirm(auth::Directory& directory, const Call& call) {
    Params params(call.params);
    const std::string account = params.text("account"), code = params.text("code");
    if (auto good = params.finish(); !good) return good.error();
    const auto confirmed = directory.confirm_second_factor(account, code, system_now());
    if (!confirmed) return confirmed.error();
    log::info("account.second_factor.confirmed", {{"account", (*confirmed)->name}});
    return json::value(json::object{});
}

Result<json::value> remove(auth::Directory& directory, const Call& call) {
    Params params(call.params);
    const std::string account = params.text("account");
    if (auto good = params.finish(); !good) return good.error();
    const auto removed = directory.remove_second_factor(account);
    if (!removed) return removed.error();
    log::info("account.second_factor.removed", {{"account", (*removed)->name}});
    return json::value(json::object{});
}

}  // namespace

void add_second_factor_methods(Api& api, auth::Directory& directory) {
    api.add("account.second_factor.start", [&](const Call& call) { return start(directory, call); });
    api.add("account.second_factor.confirm", [&](const Call& call) { return confirm(directory, call); });
    api.add("account.second_factor.remove", [&](const Call& call) { return remove(directory, call); });
}

}  // namespace pier::admin
