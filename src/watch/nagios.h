// The result of probes as monitoring plug-ins tell it (Monitoring Plugins' guidelines): one line, then '|'
// and performance data with units and thresholds; and the exit code. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "watch/findings.h"

namespace pier::watch {

namespace nagios {
inline constexpr int ok = 0, warning = 1, critical = 2, unknown = 3;
}

struct NagiosAnswer {
    int exit_code = nagios::unknown;
    std::string line;  // without a line end
};
NagiosAnswer nagios_answer(const std::vector<Probe>& probes, const std::vector<Canary>& canaries,
                           const Rules& rules);

// When nothing could be probed.
NagiosAnswer nagios_unknown(std::string_view why);

}  // namespace pier::watch
