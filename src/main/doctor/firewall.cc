#include "main/doctor/firewall.h"

#include <algorithm>
#include <optional>
#include <set>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

namespace pier::program::doctor {
namespace {

namespace json = boost::json;

constexpr std::size_t rules_max = 10'000;

std::string text_of(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

const json::object* object_of(const json::value& value, std::string_view key) {
    const json::object* object = value.if_object();
    const json::value* inner = object != nullptr ? object->if_contains(key) : nullptr;
    return inner != nullptr ? inner->if_object() : nullptr;
}

std::string chain_of(const json::object& object, std::string_view name_key) {
    return fmt::format("{} {} {}", text_of(object, "family"), text_of(object, "table"),
                       text_of(object, name_key));
}

using Ports = std::vector<std::pair<std::uint16_t, std::uint16_t>>;

void add_ports(const json::value& value, Ports& ports) {
    constexpr std::int64_t port_max = 0xFFFF;
    if (const std::int64_t* number = value.if_int64()) {
        if (*number >= 0 && *number <= port_max)
            ports.emplace_back(static_cast<std::uint16_t>(*number), static_cast<std::uint16_t>(*number));
        return;
    }
    const json::object* object = value.if_object();
    if (object == nullptr) return;
    if (const json::value* set = object->if_contains("set"); set != nullptr && set->is_array())
        for (const json::value& one : set->as_array())
            add_ports(one, ports);
    if (const json::value* range = object->if_contains("range");
        range != nullptr && range->is_array() && range->as_array().size() == 2) {
        Ports ends;
        for (const json::value& one : range->as_array())
            add_ports(one, ends);
        if (ends.size() == 2) ports.emplace_back(ends[0].first, ends[1].first);
    }
}

// What one rule says of ports.
struct Seen {
    Ports ports;
    bool other_condition = false;
    std::optional<bool> refuses;  // absent: it decides nothing
};

void take_match(const json::object& match, Seen& seen) {
    const json::value* left = match.if_contains("left");
    const json::value* right = match.if_contains("right");
    const json::object* payload = left != nullptr ? object_of(*left, "payload") : nullptr;
    const bool of_port = payload != nullptr && text_of(*payload, "field") == "dport" && right != nullptr &&
                         (text_of(*payload, "protocol") == "tcp" || text_of(*payload, "protocol") == "th");
    if (of_port && text_of(match, "op") == "==")
        add_ports(*right, seen.ports);
    else if (left != nullptr && right != nullptr && right->is_string() && right->as_string() == "tcp")
        return;  // "meta l4proto tcp", "ip protocol tcp"
    else
        seen.other_condition = true;
}

Seen look_at(const json::array& expressions) {
    Seen seen;
    for (const json::value& one : expressions) {
        if (const json::object* match = object_of(one, "match")) take_match(*match, seen);
        const json::object* object = one.if_object();
        if (object == nullptr) continue;
        if (object->contains("accept")) seen.refuses = false;
        if (object->contains("drop") || object->contains("reject")) seen.refuses = true;
    }
    return seen;
}

void take_rule(const json::object& rule, Firewall& out) {
    const json::value* expressions = rule.if_contains("expr");
    if (expressions == nullptr || !expressions->is_array() || out.rules.size() >= rules_max) return;
    const Seen seen = look_at(expressions->as_array());
    if (!seen.refuses || (*seen.refuses && seen.other_condition)) return;
    const std::string text =
        fmt::format("chain {}: {}", chain_of(rule, "chain"), *seen.refuses ? "drop or reject" : "accept");
    // One that lets in only what comes from elsewhere says nothing of the rest.
    if (!*seen.refuses && seen.other_condition && seen.ports.empty()) return;
    if (seen.ports.empty()) out.rules.push_back({0, 0xFFFF, *seen.refuses, text});
    for (const auto& [first, last] : seen.ports)
        out.rules.push_back(
            {first, last, *seen.refuses,
             fmt::format("{} of TCP port {}", text,
                         first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last))});
}

}  // namespace

Result<Firewall> parse_nft(std::string_view text) {
    boost::system::error_code error;
    const json::value value = json::parse(text, error);
    const json::object* object = error ? nullptr : value.if_object();
    const json::value* list = object != nullptr ? object->if_contains("nftables") : nullptr;
    if (list == nullptr || !list->is_array())
        return Error{ErrorKind::invalid, "nft's answer is not understood"};
    Firewall out;
    std::set<std::string> chains;  // that see what comes in
    for (const json::value& one : list->as_array()) {
        if (const json::object* chain = object_of(one, "chain")) {
            const std::string hook = text_of(*chain, "hook");
            if (hook != "input" && hook != "prerouting" && hook != "ingress") continue;
            const std::string name = chain_of(*chain, "name");
            chains.insert(name);
            if (text_of(*chain, "policy") == "drop" && out.policy.empty()) out.policy = name;
        }
    }
    for (const json::value& one : list->as_array())
        if (const json::object* rule = object_of(one, "rule"))
            if (chains.contains(chain_of(*rule, "chain"))) take_rule(*rule, out);
    return out;
}

std::string refusal_of(const Firewall& firewall, std::uint16_t port) {
    const auto about = [port](const PortRule& rule) { return rule.first <= port && port <= rule.last; };
    const auto first = std::ranges::find_if(firewall.rules, about);
    if (first != firewall.rules.end()) return first->refuses ? first->text : std::string();
    return firewall.policy.empty() ? std::string() : fmt::format("chain {}: policy drop", firewall.policy);
}

}  // namespace pier::program::doctor
