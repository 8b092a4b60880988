// What `pier probe` is to look at: from its arguments, or from the configuration's listeners. Pure; any
// thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "main/config.h"
#include "watch/probe.h"

namespace pier::program {

struct ProbeTarget {
    watch::Target target;
    bool may_be_closed = false;  // nobody has asked for this port by number
};

struct ProbeTargetWords {
    std::string protocol, tls;  // empty: by the port
    std::string name;           // for the certificate; empty: the host's
};

// Of "HOST", "HOST:PORT", "[IPv6]:PORT". Without a port: the usual ones of the protocol and TLS mode; without
// these too, all seven mail ports, of which some may be closed.
Result<std::vector<ProbeTarget>> parse_probe_target(std::string_view text, const ProbeTargetWords& words);

// The TCP listeners for mail. Those at every address are asked at this machine's own loopback address.
std::vector<ProbeTarget> own_listeners(const Config& config, const ProbeTargetWords& words);

}  // namespace pier::program
