// The management methods of the watcher and of the history. The first is a running server's alone; the others
// a command without a server calls itself, on the files.
//
//   watch.status                                       -> {"targets": […]}: each thing that is watched
//   history.series                                     -> {"series": ["probe.…", …]}
//   history.points  series, [since_s], [points_max]    -> {"series", "points": [{"time", "step_s", …}, …]}
#pragma once

#include <functional>

#include <boost/json/object.hpp>

#include "admin/api.h"
#include "watch/history.h"
#include "watch/watcher.h"

namespace pier::program {

// Null: nothing is watched. Called at each method, from any thread.
using FindWatcher = std::function<const watch::Watcher*()>;
void add_watch_methods(admin::Api& api, FindWatcher find);

// `history` may be null: `not_found`. It outlives the methods.
void add_history_methods(admin::Api& api, const watch::History* history, Clock clock);

// One thing that is watched.
boost::json::object describe(const watch::WatchState& state);

}  // namespace pier::program
