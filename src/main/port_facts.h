// The configured ports, for the comparison of watch/drift.h. Pure; any thread.
#pragma once

#include <vector>

#include "main/config.h"
#include "watch/drift.h"

namespace pier::program {

// Those of the TCP listeners whose port is known (not 0, which lets the kernel choose).
std::vector<watch::ConfiguredPort> configured_ports(const Config& config);

}  // namespace pier::program
