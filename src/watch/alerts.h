// Who is told of what was seen, and when: takes every observation, knows of each thing whether it is ill, and
// gives out what is to be told. One look proves nothing where the observation says so, on the way down as on
// the way up; what goes back and forth is held; what falls ill together is told together; quiet hours let
// only what is critical through.
//
//   Alerts alerts(rules);
//   alerts.observe(observation, now);            // after each look
//   for (const Notice& one : alerts.due(now)) …  // about once a second
//
// Pure: no clock, no disk, no thread. The times given must not go back (base/time.h: even_clock). One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "watch/observation.h"

namespace pier::watch {

// Things that are not well, or were not a while ago; those beyond are not told of, and counted.
inline constexpr std::size_t alert_keys_max = 2048;
inline constexpr std::size_t alert_key_octets_max = 320;
// Of each text of an alert; what is longer is cut.
inline constexpr std::size_t alert_text_octets_max = 1000;
inline constexpr std::size_t alert_file_octets_max = 16 * 1024 * 1024;

struct AlertRules {
    // What falls ill within it is told in one notice. With a look at due() each second it is told within 3 s.
    std::chrono::seconds gather{2};
    // How long after it was told last something that is still ill is told again. 0: never.
    std::chrono::seconds remind_after{std::chrono::hours(4)};
    // Raised so often within that time, it is flapping: then it counts as well only after that long without
    // an ill look.
    unsigned flapping_raises = 3;
    std::chrono::seconds flapping_within{std::chrono::hours(1)};
    std::chrono::seconds settled_after{std::chrono::minutes(15)};
    // What nobody has looked at for so long is no longer watched. Thorough looks come once a day.
    std::chrono::seconds forget_after{std::chrono::hours(50)};
    // Whether these are quiet hours. Empty: there are none.
    std::function<bool(Time)> is_quiet{};
};

enum class AlertState { well, suspected, ill };
std::string_view to_string(AlertState state);

struct Acknowledgement {
    std::string by;
    Time at{};
    std::optional<Time> until;  // absent: until it is well or worse
};

struct Alert {
    std::string key, group;
    AlertState state = AlertState::well;
    Severity severity{};  // while it is suspected or ill; of one that is well again: what it was
    std::string what, evidence, step;
    Time since{};      // the first of the looks that made it so
    Time looked_at{};  // the last one
    bool flapping = false;
    std::optional<Severity> told;  // the worst that was told; absent: nothing
    std::optional<Time> told_at;
    std::optional<Acknowledgement> acknowledged;
};

enum class Change {
    raised,
    worse,
    resolved,
    reminder,
    forgotten,  // it was told of, and is no longer watched
};
std::string_view to_string(Change change);

struct Transition {
    Change change{};
    Alert alert;  // as it is now
};

// What is told at once: the changes of one group, the worst first. Never empty.
struct Notice {
    std::string group;
    std::vector<Transition> transitions;
    // The worst of all; of what is well again: what it was.
    Severity severity() const;
};

class Alerts {
  public:
    explicit Alerts(AlertRules rules);

    // A note counts as well.
    void observe(const Observation& seen, Time now);
    // What is to be told now; with the call it counts as told.
    std::vector<Notice> due(Time now);

    // No reminders of it any more, for that long or until it is well or worse. `not_found`: nothing of that
    // key is ill.
    Result<void> acknowledge(const std::string& key, std::string by, Time now,
                             std::optional<std::chrono::seconds> how_long);

    // What is suspected or ill, the worst first.
    std::vector<Alert> list() const;
    std::uint64_t dropped() const { return dropped_; }  // observations, for want of room
    // Changes with everything that save() would write differently.
    std::uint64_t revision() const { return revision_; }

    // What a restart must not forget: what is ill, and what was told of it. JSON; docs/alerts.md.
    std::string save() const;
    // In place of what is known; before the first observation. `corrupt`: nothing was taken.
    Result<void> load(std::string_view text, Time now);

  private:
    struct Kept {
        Alert alert;
        unsigned ill_looks = 0, well_looks = 0, worse_looks = 0;  // in a row
        Severity row_severity{};                                  // the least of these
        Time row_since{};
        Time changed_at{};            // since when there is something to tell
        std::vector<Time> raised_at;  // within flapping_within, at most flapping_raises
    };

    void see_ill(Kept& kept, const Observation& seen, Time now);
    void see_well(Kept& kept, const Observation& seen, Time now);
    void raise(Kept& kept, Time now);
    bool is_to_be_dropped(const Kept& kept, Time now) const;
    std::optional<Change> wants(const Kept& kept, Time now) const;
    bool may_be_told(const Kept& kept, bool quiet) const;
    void mark_told(Kept& kept, Change change, Time now);

    AlertRules rules_;
    std::map<std::string, Kept, std::less<>> kept_;
    std::uint64_t dropped_ = 0, revision_ = 0;
};

}  // namespace pier::watch
