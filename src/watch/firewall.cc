#include "watch/firewall.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

namespace pier::watch {
namespace {

namespace json = boost::json;

constexpr std::size_t rules_max = 10'000;
constexpr std::size_t ports_max = 1024;  // ranges of one rule
constexpr int jumps_max = 16;            // as in the kernel

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

using Ports = std::vector<std::pair<std::uint16_t, std::uint16_t>>;  // ranges

// False: not all of it is understood (a named set, a map, a prefix).
bool add_ports(const json::value& value, Ports& ports) {
    constexpr std::int64_t port_max = 0xFFFF;
    if (ports.size() >= ports_max) return false;
    if (const std::int64_t* number = value.if_int64()) {
        if (*number < 0 || *number > port_max) return false;
        ports.emplace_back(static_cast<std::uint16_t>(*number), static_cast<std::uint16_t>(*number));
        return true;
    }
    const json::object* object = value.if_object();
    if (object == nullptr || object->size() != 1) return false;
    if (const json::value* set = object->if_contains("set"); set != nullptr && set->is_array())
        return std::ranges::all_of(set->as_array(),
                                   [&](const json::value& one) { return add_ports(one, ports); });
    const json::value* range = object->if_contains("range");
    if (range == nullptr || !range->is_array() || range->as_array().size() != 2) return false;
    Ports ends;
    for (const json::value& one : range->as_array())
        if (!one.is_int64() || !add_ports(one, ends)) return false;
    ports.emplace_back(std::min(ends[0].first, ends[1].first), std::max(ends[0].first, ends[1].first));
    return true;
}

// What one rule says.
struct Seen {
    std::optional<Ports> ports;   // absent: of all
    bool never = false;           // no new connection over TCP from elsewhere fits
    bool of_some = false;         // only what else fits, too
    std::string unclear;          // what is not understood; empty: nothing
    bool may_decide = false;      // and that may be what becomes of the connection
    std::optional<bool> refuses;  // absent: it decides nothing
    bool returns = false;         // the rest of the chain is passed over
    bool leaves = false;          // goto: the same after the chain that it leads to
    std::string jumps_to;         // another chain of the same table; empty: nowhere

    void not_understood(std::string what, bool decides = false) {
        if (unclear.empty()) unclear = std::move(what);
        may_decide = may_decide || decides;
    }
    bool conditional() const { return ports || of_some || !unclear.empty(); }
};

// Whether `value`, a word, a set of words or a named set ("@name"), has the word; absent: not known.
std::optional<bool> has_word(const json::value& value, std::string_view word) {
    if (value.is_string())
        return value.as_string().starts_with("@") ? std::nullopt : std::optional(value.as_string() == word);
    const json::value* words = &value;
    if (const json::object* object = value.if_object()) words = object->if_contains("set");
    if (words == nullptr || !words->is_array()) return std::nullopt;
    for (const json::value& one : words->as_array()) {
        const auto known = has_word(one, word);
        if (!known || *known) return known;
    }
    return false;
}

// A condition that fits new connections if `value` has the word, and others if not.
void take_word(const json::value& value, std::string_view word, bool equal, std::string_view what,
               Seen& seen) {
    const auto has = has_word(value, word);
    if (!has) return seen.not_understood(std::string(what));
    if (*has != equal) seen.never = true;
}

void take_port(const json::value& right, bool equal, Seen& seen) {
    Ports ports;
    if (!equal || seen.ports)
        seen.not_understood("a comparison of ports");
    else if (!add_ports(right, ports))
        seen.not_understood("a named set or a map of ports");
    else
        seen.ports = std::move(ports);
}

void take_payload(const json::object& payload, const json::value& right, bool equal, Seen& seen) {
    const std::string protocol = text_of(payload, "protocol"), field = text_of(payload, "field");
    if ((protocol == "tcp" || protocol == "th") && field == "dport") return take_port(right, equal, seen);
    if ((protocol == "ip" && field == "protocol") || (protocol == "ip6" && field == "nexthdr"))
        return take_word(right, "tcp", equal, "a protocol", seen);
    if (protocol == "udp" || protocol == "icmp" || protocol == "icmpv6" || protocol == "sctp" ||
        protocol == "igmp") {
        seen.never = true;
    } else if (field == "saddr" && (protocol == "ip" || protocol == "ip6") && equal) {
        seen.of_some = true;
    } else {
        seen.not_understood(fmt::format("a condition on {} {}", protocol, field));
    }
}

// Of the interfaces only "lo" says anything for sure: the others may be those that mail comes by.
void take_meta(const std::string& key, const json::value& right, bool equal, Seen& seen) {
    if (key == "l4proto") return take_word(right, "tcp", equal, "a protocol", seen);
    if (key != "iif" && key != "iifname") return seen.not_understood(fmt::format("a condition on {}", key));
    if (!right.is_string() || right.as_string() != "lo") return seen.not_understood("an interface");
    if (equal) seen.never = true;
}

void take_match(const json::object& match, Seen& seen) {
    const json::value* left = match.if_contains("left");
    const json::value* right = match.if_contains("right");
    const std::string op = text_of(match, "op");
    const bool equal = op == "==" || op == "in";
    if (left == nullptr || right == nullptr || (!equal && op != "!="))
        return seen.not_understood("a comparison");
    if (const json::object* payload = object_of(*left, "payload"))
        return take_payload(*payload, *right, equal, seen);
    if (const json::object* meta = object_of(*left, "meta"))
        return take_meta(text_of(*meta, "key"), *right, equal, seen);
    if (const json::object* ct = object_of(*left, "ct"); ct != nullptr && text_of(*ct, "key") == "state")
        return take_word(*right, "new", equal, "a state", seen);
    seen.not_understood("a condition");
}

// "ct state vmap { established : accept, invalid : drop }" decides about no new connection.
void take_map(const json::object& map, Seen& seen) {
    const json::value* key = map.if_contains("key");
    const json::value* data = map.if_contains("data");
    const json::object* ct = key != nullptr ? object_of(*key, "ct") : nullptr;
    const json::object* set = data != nullptr ? data->if_object() : nullptr;
    const json::value* pairs = set != nullptr ? set->if_contains("set") : nullptr;
    const auto of_old = [](const json::value& pair) {
        const json::array* both = pair.if_array();
        return both != nullptr && !both->empty() && has_word((*both)[0], "new") == std::optional(false);
    };
    if (ct != nullptr && text_of(*ct, "key") == "state" && pairs != nullptr && pairs->is_array() &&
        std::ranges::all_of(pairs->as_array(), of_old))
        seen.never = true;
    else
        seen.not_understood("a map of verdicts", true);
}

// What decides nothing.
bool is_neutral(std::string_view statement) {
    constexpr std::array words{"counter", "log", "mangle", "notrack", "ct helper", "ct timeout", "flow"};
    return std::ranges::find(words, statement) != words.end();
}

void take_statement(std::string_view word, const json::value& what, Seen& seen) {
    const json::object* object = what.if_object();
    if (word == "match" && object != nullptr) return take_match(*object, seen);
    if (word == "vmap" && object != nullptr) return take_map(*object, seen);
    if (word == "accept") {
        seen.refuses = false;
    } else if (word == "drop" || word == "reject") {
        seen.refuses = true;
    } else if (word == "return") {
        seen.returns = true;
    } else if ((word == "jump" || word == "goto") && object != nullptr) {
        seen.jumps_to = text_of(*object, "target");
        seen.leaves = word == "goto";
    } else if (word == "limit" || word == "ct count" || word == "quota") {
        seen.of_some = true;
    } else if (word == "xt") {
        const bool match = object != nullptr && text_of(*object, "type") == "match";
        if (!match || text_of(*object, "name") != "comment")
            seen.not_understood("a condition or a target of iptables", !match);
    } else if (!is_neutral(word)) {
        seen.not_understood(fmt::format("the statement {}", word), true);
    }
}

Seen look_at(const json::array& expressions) {
    Seen seen;
    for (const json::value& one : expressions) {
        const json::object* object = one.if_object();
        if (object == nullptr || object->size() != 1)
            seen.not_understood("a statement", true);
        else
            take_statement(object->begin()->key(), object->begin()->value(), seen);
    }
    return seen;
}

// Of the rules that led here and this one together.
// The work that it was, in rules.
std::size_t join(Seen& seen, const Seen& outer) {
    seen.never = seen.never || outer.never;
    seen.of_some = seen.of_some || outer.of_some;
    if (!outer.unclear.empty()) seen.not_understood(outer.unclear);
    if (!outer.ports) return 0;
    if (!seen.ports) {
        seen.ports = outer.ports;
        return 0;
    }
    constexpr std::size_t pairs_a_rule = 64;
    const std::size_t work = seen.ports->size() * outer.ports->size() / pairs_a_rule;
    Ports both;
    for (const auto& [first, last] : *seen.ports)
        for (const auto& [outer_first, outer_last] : *outer.ports)
            if (first <= outer_last && outer_first <= last)
                both.emplace_back(std::max(first, outer_first), std::min(last, outer_last));
    if (both.size() > ports_max)
        seen.not_understood("a long list of ports");  // all of them, for all that is known
    else
        seen.ports = std::move(both);
    return work;
}

using Rules = std::map<std::string, std::vector<const json::object*>>;  // by their chains

struct Reading {
    const Rules& rules;
    std::size_t work = 0;  // rules that were looked at and noted
};

void add(Reading& reading, FirewallChain& out, const Seen& seen, const PortRule& rule) {
    reading.work += seen.ports ? seen.ports->size() : 1;
    if (!seen.ports) return out.rules.push_back(rule);
    for (const auto& [first, last] : *seen.ports) {
        out.rules.push_back(rule);
        out.rules.back().first = first;
        out.rules.back().last = last;
        out.rules.back().text += fmt::format(
            " (TCP port {})", first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last));
    }
}

// What it would do, if it is about the port; absent: maybe the one, maybe the other.
void add_unclear(Reading& reading, FirewallChain& out, const Seen& seen, std::optional<bool> refuses,
                 const std::string& why) {
    for (const bool one : {false, true})
        if (refuses.value_or(one) == one) add(reading, out, seen, {0, 0xFFFF, one, false, why, true});
}

// `outer`: what the rules that led here ask for already.
void take_chain(Reading& reading, const std::string& chain, const Seen& outer, int depth, FirewallChain& out);

void note_rule(Reading& reading, FirewallChain& out, const Seen& seen, const std::string& text) {
    if (!seen.unclear.empty()) {
        const auto refuses = seen.may_decide ? std::nullopt : seen.refuses;
        if (seen.may_decide || refuses)
            add_unclear(reading, out, seen, refuses,
                        fmt::format("{}{} is not understood", text, seen.unclear));
        return;
    }
    if (!seen.refuses) return;
    // Who refuses some of all connections, by their address or number, says nothing of this port.
    if (*seen.refuses && seen.of_some && !seen.ports) return;
    add(reading, out, seen,
        {0, 0xFFFF, *seen.refuses, seen.of_some, text + (*seen.refuses ? "drop or reject" : "accept")});
}

// False: the rest of the chain is not come to.
bool take_rule(Reading& reading, const json::object& rule, const Seen& outer, int depth, FirewallChain& out) {
    const json::value* expressions = rule.if_contains("expr");
    if (expressions == nullptr || !expressions->is_array()) return true;
    const std::string text = fmt::format("chain {}: ", chain_of(rule, "chain"));
    if (reading.work++ >= rules_max) {
        add_unclear(reading, out, {}, {}, text + "there are too many rules");
        return false;
    }
    Seen seen = look_at(expressions->as_array());
    const bool conditional = seen.conditional();
    if (seen.never) return true;
    reading.work += join(seen, outer);
    if (seen.ports && seen.ports->empty()) return true;
    if (!seen.jumps_to.empty()) {
        const std::string target =
            fmt::format("{} {} {}", text_of(rule, "family"), text_of(rule, "table"), seen.jumps_to);
        if (depth < jumps_max) take_chain(reading, target, seen, depth + 1, out);
        if (!seen.leaves) return true;
    }
    // Behind a return or a goto that is about some, the rest of the chain is about the others.
    if (seen.returns || seen.leaves) {
        if (conditional) add_unclear(reading, out, seen, {}, text + "some leave it before its end");
        return conditional;
    }
    note_rule(reading, out, seen, text);
    return true;
}

void take_chain(Reading& reading, const std::string& chain, const Seen& outer, int depth,
                FirewallChain& out) {
    const auto found = reading.rules.find(chain);
    if (found == reading.rules.end()) return;
    for (const json::object* rule : found->second)
        if (!take_rule(reading, *rule, outer, depth, out)) return;
}

Verdict verdict_of(const FirewallChain& chain, std::uint16_t port) {
    // The first rules that let some in, that refuse some, and that may do so.
    std::string accepted, refused, maybe_accepted, maybe_refused;
    const auto note = [](std::string& first, const PortRule& rule) {
        if (first.empty()) first = rule.text;
    };
    // What is not understood matters where it would do something else than what stands behind it.
    const auto ends = [&](bool refuses, const std::string& text) -> Verdict {
        const std::string& maybe = refuses ? maybe_accepted : maybe_refused;
        if (!maybe.empty()) return {Passage::unknown, maybe};
        const std::string& others = refuses ? accepted : refused;
        if (!others.empty()) return {Passage::filtered, others};
        return {refuses ? Passage::closed : Passage::open, text};
    };
    for (const PortRule& rule : chain.rules) {
        if (port < rule.first || rule.last < port) continue;
        if (rule.unclear)
            note(rule.refuses ? maybe_refused : maybe_accepted, rule);
        else if (rule.of_some)
            note(rule.refuses ? refused : accepted, rule);
        else
            return ends(rule.refuses, rule.text);
    }
    return chain.policy_drops ? ends(true, fmt::format("chain {}: policy drop", chain.name))
                              : ends(false, {});
}

Verdict verdict_of_family(const Firewall& firewall, std::uint16_t port, std::string_view other_family) {
    Verdict worst{Passage::open, {}};
    for (const FirewallChain& chain : firewall.chains) {
        if (chain.name.starts_with(other_family)) continue;
        Verdict one = verdict_of(chain, port);
        if (one.passage == Passage::closed) return one;
        const bool worse = one.passage == Passage::unknown ||
                           (one.passage == Passage::filtered && worst.passage != Passage::unknown) ||
                           (worst.passage == Passage::open && worst.text.empty());
        if (worse) worst = std::move(one);
    }
    return worst;
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
    Rules rules;
    for (const json::value& one : list->as_array()) {
        if (const json::object* chain = object_of(one, "chain")) {
            const std::string hook = text_of(*chain, "hook"), family = text_of(*chain, "family");
            if (hook != "input" && hook != "prerouting" && hook != "ingress") continue;
            if (family == "arp" || family == "bridge") continue;
            out.chains.push_back({chain_of(*chain, "name"), text_of(*chain, "policy") == "drop", {}});
        }
        if (const json::object* rule = object_of(one, "rule"))
            rules[chain_of(*rule, "chain")].push_back(rule);
    }
    Reading reading{rules};
    for (FirewallChain& chain : out.chains)
        take_chain(reading, chain.name, {}, 0, chain);
    return out;
}

std::string_view to_string(Passage passage) {
    switch (passage) {
        case Passage::open:
            return "open";
        case Passage::closed:
            return "closed";
        case Passage::filtered:
            return "filtered";
        case Passage::unknown:
            return "unknown";
    }
    return "unknown";
}

Verdict verdict_for(const Firewall& firewall, std::uint16_t port, Families families) {
    if (!firewall.unknown.empty()) return {Passage::unknown, firewall.unknown};
    const Verdict v4 = verdict_of_family(firewall, port, "ip6 ");
    if (families == Families::v4) return v4;
    Verdict v6 = verdict_of_family(firewall, port, "ip ");
    if (families == Families::v6 || v4.passage == v6.passage) return v6;
    for (const Verdict* one : {&v4, &std::as_const(v6)})
        if (one->passage == Passage::unknown) return *one;
    const bool v4_is_worse =
        v4.passage == Passage::closed || (v4.passage == Passage::filtered && v6.passage == Passage::open);
    return {Passage::filtered,
            fmt::format("over {}: {}", v4_is_worse ? "IPv4" : "IPv6", v4_is_worse ? v4.text : v6.text)};
}

std::string refusal_of(const Firewall& firewall, std::uint16_t port, Families families) {
    const Verdict verdict = verdict_for(firewall, port, families);
    return verdict.passage == Passage::closed ? verdict.text : std::string();
}

}  // namespace pier::watch
