// The kinds of back ends that this program has.
#pragma once

#include <span>
#include <string_view>

#include "backends/settings.h"
#include "backends/source.h"
#include "base/result.h"

namespace pier::backends {

// In the worker process, once, before its threads. Fails when the settings cannot be used at all ("there is
// no libldap here"): then every request is answered as an outage with that text.
Result<MakeSource> open_kind(const Settings& settings);

// "passwd-file": as the configuration says it, in the order of Kind.
std::span<const std::string_view> kind_words();
std::string_view to_string(Kind kind);

}  // namespace pier::backends
