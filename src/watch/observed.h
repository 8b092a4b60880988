// What a look means for whoever alerts: an observation of each thing that the look could see, also of those
// that are well. What could not be seen (the certificate of a server that is not reached) is not told of.
// Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "watch/observation.h"
#include "watch/usual.h"

namespace pier::watch {

// What one look does not prove, two in a row do: a server that is being restarted refuses connections too.
inline constexpr unsigned looks_of_doubt = 2;

struct LookedFor {
    bool thorough = false;
    bool login = false;
    std::string group{};
    std::optional<double> usual_s{};  // what the look usually takes; absent: not known
    UsualRule usual{};
};

// Keys: "port.HOST:PORT." and reachable, certificate (its last days), latency, or the code of a finding. A
// note is told as what it is: of that severity.
std::vector<Observation> observations_of(const Probe& probe, const LookedFor& how);
// Keys: "canary.NAME." and not_sent, lost, changed, left, slow.
std::vector<Observation> observations_of(const Canary& canary, const std::string& name,
                                         const std::string& group);

// Of a look: whether it wants a second one soon, and whether only a thorough one would see that it is mended.
bool is_doubtful(const std::vector<Observation>& observations);
bool has_thorough_finding(const Probe& probe);
bool is_thorough(const Finding& finding);  // only thorough looks find that

// The codes of findings that looks at ports can have, for the test that compares them with docs/watch.md.
std::vector<std::string_view> finding_codes();

}  // namespace pier::watch
