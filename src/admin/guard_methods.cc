#include "admin/guard_methods.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include "admin/params.h"
#include "auth/name.h"
#include "base/log.h"

namespace pier::admin {

namespace json = boost::json;

namespace {

using auth::Guard;

constexpr std::uint64_t block_seconds = 24 * 3600;
constexpr std::uint64_t block_seconds_max = 10ull * 366 * 24 * 3600;
constexpr std::size_t reason_octets_max = 200;

json::object to_json(const Guard::Block& block) {
    return {{"what", block.what},
            {"address", block.address},
            {"account", block.account},
            {"until", to_rfc3339(block.until)},
            {"reason", block.reason}};
}

Result<json::value> list(Guard& guard, const Call& call) {
    if (auto good = Params(call.params).finish(); !good) return good.error();
    json::array blocks;
    for (const Guard::Block& block : guard.list())
        blocks.push_back(to_json(block));
    const Guard::Counts counts = guard.counts();
    return json::value(json::object{{"blocks", std::move(blocks)},
                                    {"addresses", counts.addresses},
                                    {"accounts", counts.accounts},
                                    {"logins", counts.pairs},
                                    {"connections_refused", counts.connections_refused},
                                    {"logins_refused", counts.logins_refused}});
}

Result<json::value> block(Guard& guard, const Call& call) {
    Params params(call.params);
    const std::string text = params.text("network");
    const std::uint64_t seconds = params.maybe_number("seconds").value_or(block_seconds);
    const std::string reason = params.maybe_text("reason").value_or("blocked by the administrator");
    if (auto good = params.finish(); !good) return good.error();
    const auto network = Network::parse(text);
    if (!network) return network.error();
    if (seconds == 0 || seconds > block_seconds_max)
        return Error{ErrorKind::invalid, "a block lasts from one second to ten years"};
    if (reason.size() > reason_octets_max)
        return Error{ErrorKind::invalid,
                     fmt::format("the reason is longer than {} octets", reason_octets_max)};
    const std::chrono::seconds time(static_cast<std::int64_t>(seconds));
    if (auto blocked = guard.block(*network, time, reason); !blocked) return blocked.error();
    log::info("guard.block", {{"network", network->text()}, {"seconds", seconds}, {"reason", reason}});
    return json::value(json::object{{"network", network->text()}, {"seconds", seconds}, {"reason", reason}});
}

Result<json::value> unblock(Guard& guard, const Call& call) {
    Params params(call.params);
    const auto text = params.maybe_text("network");
    const auto account = params.maybe_text("account");
    if (auto good = params.finish(); !good) return good.error();
    if (text.has_value() == account.has_value())
        return Error{ErrorKind::invalid, "name a network or an account, one of them"};
    std::size_t ended = 0;
    if (account) {
        ended = guard.unblock_account(auth::fold_name(*account));
    } else {
        const auto network = Network::parse(*text);
        if (!network) return network.error();
        ended = guard.unblock(*network);
    }
    log::info("guard.unblock", {{"what", account ? *account : *text}, {"ended", ended}});
    return json::value(json::object{{"ended", ended}});
}

Result<json::value> explain(Guard& guard, const Call& call) {
    Params params(call.params);
    const std::string text = params.text("address");
    const std::string account = params.maybe_text("account").value_or("");
    if (auto good = params.finish(); !good) return good.error();
    boost::system::error_code failed;
    const auto address = boost::asio::ip::make_address(text, failed);
    if (failed)
        return Error{ErrorKind::invalid,
                     fmt::format("\"{}\" is not an IP address; write one, as in 192.0.2.7", text)};
    const Guard::Explanation explained = guard.explain(address, auth::fold_name(account));
    json::array blocks;
    for (const Guard::Block& one : explained.blocks)
        blocks.push_back(to_json(one));
    json::object out{
        {"address", text},
        {"guard", explained.enabled},
        {"counted_as", explained.counted_as},
        {"shared", explained.shared},
        {"connects", explained.connects},
        {"failures", explained.failures},
        {"scans", explained.scans},
        {"known_accounts", json::array(explained.known_accounts.begin(), explained.known_accounts.end())},
        {"blocks", std::move(blocks)}};
    if (!account.empty()) {
        out["account"] = account;
        out["known"] = explained.known;
        out["login_failures"] = explained.pair_failures;
        out["account_failures"] = explained.account_failures;
        out["login"] = explained.login;
    }
    return json::value(std::move(out));
}

}  // namespace

void add_guard_methods(Api& api, Guard& guard) {
    api.add("guard.list", [&guard](const Call& call) { return list(guard, call); });
    api.add("guard.block", [&guard](const Call& call) { return block(guard, call); });
    api.add("guard.unblock", [&guard](const Call& call) { return unblock(guard, call); });
    api.add("guard.explain", [&guard](const Call& call) { return explain(guard, call); });
}

}  // namespace pier::admin
