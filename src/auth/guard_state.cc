// The guard's memory between two runs of the server, as JSON (docs/disk-format.md).
#include <cmath>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "auth/guard.h"

namespace pier::auth {
namespace {

namespace json = boost::json;

constexpr int state_version = 1;
constexpr std::int64_t time_max = std::int64_t{1} << 53;  // µs: the year 2255

std::int64_t number_of(Time time) {
    return time.time_since_epoch().count();
}

json::array write_count(const LeakyCount& count) {
    return {count.level, number_of(count.at)};
}

json::array write_table(const GuardTable& table) {
    json::array out;
    // Oldest first: read back in order, the last is again the one used last.
    for (auto row = table.rows().rbegin(); row != table.rows().rend(); ++row) {
        const auto& [key, entry] = *row;
        json::object object{{"key", key}};
        if (entry.failures.level > 0) object["failures"] = write_count(entry.failures);
        if (entry.scans.level > 0) object["scans"] = write_count(entry.scans);
        if (entry.blocks > 0) {
            object["blocks"] = entry.blocks;
            object["until"] = number_of(entry.blocked_until);
            object["why"] = entry.why;
        }
        if (object.size() > 1) out.push_back(std::move(object));
    }
    return out;
}

// Throws what Boost.JSON throws, or std::invalid_argument, for anything that was not written above.
Time time_of(const json::value& value) {
    const std::int64_t number = value.as_int64();
    if (number < 0 || number > time_max) throw std::invalid_argument("a time");
    return Time(std::chrono::microseconds(number));
}

LeakyCount read_count(const json::value& value) {
    const json::array& pair = value.as_array();
    const double level = pair.at(0).to_number<double>();
    if (!std::isfinite(level) || level < 0) throw std::invalid_argument("a count");
    return {level, time_of(pair.at(1))};
}

GuardTable read_table(const json::value& value, std::size_t entries_max) {
    GuardTable table(entries_max);
    for (const json::value& row : value.as_array()) {
        const json::object& object = row.as_object();
        const json::string& key = object.at("key").as_string();
        GuardEntry& entry = table.get(std::string_view(key), Time{});
        if (const auto* failures = object.if_contains("failures")) entry.failures = read_count(*failures);
        if (const auto* scans = object.if_contains("scans")) entry.scans = read_count(*scans);
        if (const auto* blocks = object.if_contains("blocks")) {
            entry.blocks = blocks->to_number<std::uint32_t>();
            entry.blocked_until = time_of(object.at("until"));
            entry.why = std::string(object.at("why").as_string());
        }
    }
    return table;
}

Network read_network(const json::value& value) {
    const auto network = Network::parse(std::string_view(value.as_string()));
    if (!network) throw std::invalid_argument(network.error().text);
    return *network;
}

}  // namespace

std::string Guard::save() {
    const std::lock_guard lock(mutex_);
    json::array manual, known;
    for (const Manual& block : manual_)
        manual.push_back(json::object{
            {"network", block.network.text()}, {"until", number_of(block.until)}, {"why", block.reason}});
    for (const auto& [account, networks] : known_)
        for (const Known& one : networks)
            known.push_back(json::array{account, one.network.text(), number_of(one.last)});
    return json::serialize(json::object{{"v", state_version},
                                        {"addresses", write_table(addresses_)},
                                        {"accounts", write_table(accounts_)},
                                        {"logins", write_table(pairs_)},
                                        {"by_hand", std::move(manual)},
                                        {"known", std::move(known)}});
}

Result<void> Guard::restore(std::string_view text) {
    const auto corrupt = [](std::string_view why) {
        return Error{ErrorKind::corrupt, fmt::format("the guard's saved state is damaged: {}", why)};
    };
    try {
        const json::value parsed = json::parse(json::string_view(text.data(), text.size()));
        const json::object& root = parsed.as_object();
        if (const auto version = root.at("v").as_int64(); version != state_version)
            return corrupt(
                fmt::format("it has version {}, and this program knows {}", version, state_version));
        GuardTable addresses = read_table(root.at("addresses"), settings_.entries_max);
        GuardTable accounts = read_table(root.at("accounts"), settings_.entries_max);
        GuardTable pairs = read_table(root.at("logins"), settings_.entries_max);
        std::vector<Manual> manual;
        for (const json::value& block : root.at("by_hand").as_array())
            if (manual.size() < manual_blocks_max)
                manual.push_back({read_network(block.as_object().at("network")),
                                  time_of(block.as_object().at("until")),
                                  std::string(block.as_object().at("why").as_string())});
        struct Seen {
            std::string account;
            Network network;
            Time last{};
        };
        std::vector<Seen> known;
        for (const json::value& row : root.at("known").as_array())
            known.push_back({std::string(row.as_array().at(0).as_string()),
                             read_network(row.as_array().at(1)), time_of(row.as_array().at(2))});

        const std::lock_guard lock(mutex_);
        addresses_ = std::move(addresses);
        accounts_ = std::move(accounts);
        pairs_ = std::move(pairs);
        manual_ = std::move(manual);
        known_.clear();
        known_networks_.clear();
        for (const Seen& seen : known)
            learn(seen.network, seen.account, seen.last);
        any_block_ = true;  // tidy_up() looks whether there is one
        changes_ = {};
        return {};
    } catch (const std::exception& failure) {
        return corrupt(failure.what());
    }
}

}  // namespace pier::auth
