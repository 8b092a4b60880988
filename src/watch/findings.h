// What a probe's facts mean: findings with a severity, their evidence and the next step. Pure; any thread.
#pragma once

#include <chrono>
#include <vector>

#include "watch/probe.h"

namespace pier::watch {

// Where a finding begins. A threshold is reached when it is equalled.
struct Rules {
    int certificate_days_warning = 30, certificate_days_critical = 7;
    std::chrono::milliseconds phase_warning{3000}, phase_critical{10'000};
    int rsa_bits_min = 2048, ec_bits_min = 224;
    // This machine's address is one that the server does not trust, even if it is near: judge as from
    // outside.
    bool stranger = false;
};

// Fills probe.findings, the worst first, from all else in it.
void judge(Probe& probe, const Rules& rules);
void judge(Canary& canary, const Rules& rules);

// Whole days until `then`; negative when it is over.
int days_between(Time now, Time then);

}  // namespace pier::watch
