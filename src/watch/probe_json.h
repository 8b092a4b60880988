// Probes as JSON, for --json, the history and alerts. Times are milliseconds with three decimals; what was
// not asked or found out is null. Pure; any thread.
#pragma once

#include <boost/json/object.hpp>

#include "watch/probe.h"

namespace pier::watch {

boost::json::object to_json(const Probe& probe);
boost::json::object to_json(const Canary& canary);

}  // namespace pier::watch
