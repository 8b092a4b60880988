// What the file says in [watch], [[watch.target]] and [[watch.canary]], and which ports are meant by it.
// Pure. What is made from it is in watch_plan.h.
#pragma once

#include <string>
#include <vector>

#include "main/config.h"
#include "main/config_file.h"
#include "watch/probe.h"

namespace pier::program {

inline constexpr std::size_t watch_targets_max = 50, watch_canaries_max = 8;

// Of sections().
Section watch_section();
Section watch_target_section();
Section watch_canary_section();

// Adds what is wrong across their values to loaded.problems.
void check_watch(Loaded& loaded);

// One port, or what is missing to know which.
Result<watch::Target> watched_target(const WatchTargetConfig& target);

// The listeners of this server that are watched, and those that are not though [watch] own says so.
struct NotWatched {
    std::string listener, reason;
};
struct OwnPorts {
    std::vector<watch::Target> targets;
    std::vector<NotWatched> left_out;
};
OwnPorts watched_own_ports(const Config& config);
// What the certificates of these must be for.
std::string own_certificate_name(const Config& config);

// A canary's sender or fetcher: one that is watched anyway, or one whose number says what it speaks.
Result<watch::Target> canary_end(const Config& config, const std::string& text);
std::string canary_name(const WatchCanaryConfig& canary);

// Whether anything is watched: then the server connects, and looks names up.
bool watches(const Config& config);
// The ports that it connects to for that.
std::vector<std::uint16_t> watched_ports(const Config& config);

}  // namespace pier::program
