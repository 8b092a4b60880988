// Probes as text for a person: a table of the ports, then what there is to say of each. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "watch/probe.h"

namespace pier::program {

// `details`: also of ports without a finding. `closed`: ports that nobody asked for, and nobody listens on.
std::string probe_text(const std::vector<watch::Probe>& probes, const std::vector<watch::Target>& closed,
                       const std::vector<watch::Canary>& canaries, bool details);

}  // namespace pier::program
