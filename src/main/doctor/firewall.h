// nftables' rules, as `nft -j list ruleset` prints them (libnftables-json(5)): what they do to connections
// that come in. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pier::program::doctor {

// A range of ports that a rule refuses, or that one lets in.
struct PortRule {
    std::uint16_t first = 0, last = 0xFFFF;
    bool refuses = false;
    std::string text;  // "table inet filter, chain input: drop"
};

struct Firewall {
    std::string unknown;          // why it could not be looked at; empty: it was
    std::vector<PortRule> rules;  // of the chains that see what comes in, in their order
    std::string policy;  // the chain whose policy is to drop the rest: "inet filter input"; empty: none
};

// `invalid`: no JSON, or not nftables'. Rules with other conditions (addresses, interfaces, states) are
// counted as letting in only if they accept, and as refusing only if they name a TCP port alone.
Result<Firewall> parse_nft(std::string_view text);

// What refuses the port, in words; empty: nothing known does.
std::string refusal_of(const Firewall& firewall, std::uint16_t port);

}  // namespace pier::program::doctor
