// What the watcher of a running server is made from: the configuration, with the passwords and authorities
// that it names. These are read once, before the sandbox.
#pragma once

#include "main/config_watch.h"
#include "watch/watcher.h"

namespace pier::program {

struct WatchPlan {
    watch::WatchSettings settings;
    std::vector<NotWatched> left_out;
};

// `config` has no errors. Fails if a file cannot be read.
Result<WatchPlan> watch_plan(const Config& config);

}  // namespace pier::program
