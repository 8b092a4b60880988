// nftables' rules, as `nft -j list ruleset` prints them (libnftables-json(5)): what they do to connections
// that come in. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pier::watch {

// A range of ports that a rule refuses, or that one lets in.
struct PortRule {
    std::uint16_t first = 0, last = 0xFFFF;
    bool refuses = false;
    bool of_some = false;  // only what else fits: addresses, rates
    std::string text;      // "chain inet filter input: drop or reject"
    // Whether it is about these ports at all, and what it does with them, is not understood; why, in `text`.
    bool unclear = false;
};

// One that sees what comes in, with the rules of the chains that it jumps to in their places.
struct FirewallChain {
    std::string name;             // "inet filter input"
    bool policy_drops = false;    // what no rule decides about
    std::vector<PortRule> rules;  // in their order
};

struct Firewall {
    std::string unknown{};  // why it could not be looked at; empty: it was
    std::vector<FirewallChain> chains{};
};

// `invalid`: no JSON, or not nftables'. At most 10,000 rules count.
Result<Firewall> parse_nft(std::string_view text);

enum class Passage { open, closed, filtered, unknown };  // filtered: open to some, by address or the like
std::string_view to_string(Passage passage);

struct Verdict {
    Passage passage{};
    std::string text;  // the rule that says so, or why it is not known; of an open port maybe empty
};
// How connections may come.
enum class Families { both, v4, v6 };
// Of a new connection to the TCP port. A connection passes only if every chain of its family lets it. If one
// family is closed and the other is not: filtered.
Verdict verdict_for(const Firewall& firewall, std::uint16_t port, Families families = Families::both);

// What refuses the port to all, in words; empty: nothing known does.
std::string refusal_of(const Firewall& firewall, std::uint16_t port, Families families = Families::both);

}  // namespace pier::watch
