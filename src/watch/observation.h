// What somebody who watches has just seen of one thing: that it is well, or what is wrong with it. Whoever
// watches (the schedule of probes, the comparison of listeners, the guard, the queue, the disk …) says so
// after each look, also when nothing has changed; whether anybody is told is decided elsewhere, in one place
// (alerts.h). Values; any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/time.h"
#include "watch/probe.h"

namespace pier::watch {

struct Observation {
    // Which thing, for good: "port.mail.example.org:995.unreachable", "disk.free", "queue.age". Printable, no
    // blanks.
    std::string key;
    // Things that fall ill together are told of together: "mail.example.org".
    std::string group;
    std::optional<Severity> severity;  // absent: it is well
    std::string what;                  // one sentence; of a thing that is well: what is well again
    std::string evidence;              // what was seen; may be empty
    std::string step;                  // what to do next
    // How many looks in a row must agree before it counts as ill: 1 where one look is proof.
    unsigned looks = 1;
    Time at{};
};

// Takes what was seen; does not block. Any thread.
using Observe = std::function<void(Observation)>;

}  // namespace pier::watch
