// Four looks at each port side by side: what the configuration says should listen, what listens, what the
// firewall lets in, what was seen from outside; and where they differ. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/network.h"
#include "watch/firewall.h"
#include "watch/listening.h"
#include "watch/observation.h"
#include "watch/probe.h"

namespace pier::watch {

struct ConfiguredPort {
    std::string name;                  // the listener's
    std::string where;                 // "*:995"
    std::vector<IpAddress> addresses;  // "*": 0.0.0.0 and ::, of which one is enough
    std::uint16_t port = 0;
};

struct ListeningPort {
    ListeningSocket socket;
    std::optional<bool> ours{};      // the running server has it; absent: nobody could say
    std::optional<Holder> holder{};  // absent: not known
    std::string text() const;        // "0.0.0.0:995 by pier (process 812)"
};

// A connection that was made, or not, and from where.
struct OutsideLook {
    std::uint16_t port = 0;
    bool reached = false;
    std::string from;  // "this machine, to mail.example.org"
    std::string text;  // why not; empty: it was reached
    std::string step;  // what to do if it was not
};

struct PortState {
    std::string name;        // the listener's; empty: it is not configured
    std::string configured;  // "*:995"; empty: it is not
    std::uint16_t port = 0;
    std::vector<ListeningPort> listens;
    Verdict firewall;
    bool local = false;  // nobody elsewhere is meant to reach it: it is on loopback
    std::optional<OutsideLook> outside{};
    std::vector<Finding> differences{};
};

struct PortFacts {
    std::vector<ConfiguredPort> configured;
    std::vector<ListeningPort> listening;
    bool server_runs = false;
    std::optional<Firewall> firewall{};  // absent: it was not looked at
    std::vector<OutsideLook> outside{};
};

// Each configured port in its order, then each other mail port (24, 25, 110, 143, 465, 587, 993, 995) on
// which somebody listens.
std::vector<PortState> compare_ports(const PortFacts& facts);

// What somebody who looks again and again tells of the configured ones: of each, whether it is closed
// ("listener.NAME.ADDRESS:PORT.closed") and whether somebody else has it, or shares it ("….foreign"). Names
// have no blanks.
std::vector<Observation> observed_ports(const std::vector<PortState>& states, Time at);

}  // namespace pier::watch
