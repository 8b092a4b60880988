// Who is to be looked at next, and when: each at its own interval, all of them spread over it, nobody twice
// at once. Pure: the time is passed in, from a clock that goes on evenly (an administrator who sets the clock
// changes nothing). One thread at a time.
//
//   Schedule schedule(rules);
//   auto who = schedule.add({interval, thorough_interval}); … schedule.start(now, jitter);
//   if (auto look = schedule.begin(now)) { look; schedule.end(look->who, now, outcome); }
//   else wait until schedule.next(), or until a look has ended
//
// - The first looks come one interval after the start, and one more interval is long enough for all of them.
//   Each then keeps its place: a look that is late does not move those after it, and those that were missed
//   (the machine slept) are not made up for.
// - Behind a first look with a doubtful outcome comes a second one soon: one lost packet or a server that is
//   being restarted is nothing to wake somebody for, and an outage should not wait for the next interval.
// - A thorough look takes the place of a usual one. While one has found something, they come once an hour, so
//   that it is soon known that it was mended.
// - Those whose last look was slow may have only some of the workers, so that they delay nobody else.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

namespace pier::watch {

class Schedule {
  public:
    using Instant = std::chrono::steady_clock::time_point;
    using Milliseconds = std::chrono::milliseconds;

    struct Rules {
        Milliseconds second_look{10'000};        // from the beginning of the first
        Milliseconds thorough_again{3'600'000};  // at the latest, while one has found something
        Milliseconds slow_from{5000};            // a look that took so long was slow
        std::size_t slow_at_once_max = 8;
    };
    struct Rhythm {
        Milliseconds interval{30'000};
        Milliseconds thorough_interval{0};  // 0: never
    };
    struct Look {
        std::size_t who = 0;
        bool thorough = false;
    };
    struct Outcome {
        bool doubtful = false;       // something is wrong that one look does not prove
        bool thorough_done = false;  // a thorough look came to its end
        bool thorough_bad = false;   // and has found what only thorough looks find
    };

    explicit Schedule(const Rules& rules) : rules_(rules) {}

    // Before start(); they are numbered from 0 on.
    std::size_t add(const Rhythm& rhythm);
    // `jitter` from 0 to 1, a random number: so that not everybody's servers look at the same moment.
    void start(Instant now, double jitter);

    // The one that has waited the longest; absent: nobody is to be looked at now.
    std::optional<Look> begin(Instant now);
    void end(std::size_t who, Instant now, const Outcome& outcome);
    // A look that was broken off says nothing, and is made up for at its next time.
    void break_off(std::size_t who, Instant now);
    // When somebody is to be looked at; absent: nobody, before a look has ended or a pause is over.
    std::optional<Instant> next() const;

    // Not looked at for the time being.
    void pause(std::size_t who) { all_[who].paused = true; }
    void resume(std::size_t who, Instant now);

    bool looking(std::size_t who) const { return all_[who].running; }
    bool paused(std::size_t who) const { return all_[who].paused; }
    // Of one that is being looked at: when it is next, unless the outcome is doubtful.
    Instant due(std::size_t who) const { return all_[who].due; }

  private:
    struct Entry {
        Rhythm rhythm;
        Instant place{};         // the next one of its evenly spaced times
        Instant due{};           // that, or sooner
        Instant thorough_due{};  // from then on
        Instant begun{};
        bool running = false, running_slow = false, paused = false, slow = false, doubted = false;
    };
    bool may_begin(const Entry& entry) const;
    static void advance(Entry& entry, Instant now);
    void stop_running(Entry& entry, Instant now);

    const Rules rules_;
    std::vector<Entry> all_;
    std::size_t slow_running_ = 0;
};

}  // namespace pier::watch
