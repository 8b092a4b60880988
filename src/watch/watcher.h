// The schedule of looks, at work: a handful of threads that look at ports and fly canaries when it is time,
// keep the figures, and say what was seen. Looks block; nothing else waits for them.
//
//   Watcher watcher(settings, {observe, &history});
//   watcher.start(); … watcher.pause_own(); … watcher.stop();
//
// stop() ends at once what is under way: every wait of a conversation looks at a descriptor, and a name that
// is being looked up is left behind. What was broken off is neither told nor kept. Any thread; start() and
// stop() once, by one.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "watch/figures.h"
#include "watch/history.h"
#include "watch/observed.h"
#include "watch/prober.h"
#include "watch/schedule.h"

namespace pier::watch {

inline constexpr std::size_t watching_threads_max = 16;

struct WatchedPort {
    Target target;
    Schedule::Rhythm rhythm;
    ProbeOptions options;
    std::shared_ptr<const TlsTrust> trust;
    std::string group;  // of its observations
    bool own = false;   // of this server
};

struct WatchedCanary {
    std::string name;  // printable, no blanks
    Target sender, fetcher;
    CanaryOptions canary;
    ProbeOptions options;
    Schedule::Rhythm rhythm;
    std::shared_ptr<const TlsTrust> trust;
    std::string group;
    bool own = false;  // one of its ends is this server
};

struct WatchSettings {
    std::vector<WatchedPort> ports;
    std::vector<WatchedCanary> canaries;
    Schedule::Rules rules;
    UsualRule usual;
    net::OwnVisits* visits = nullptr;  // told of connections to this server; outlives the watcher

    bool any() const { return !ports.empty() || !canaries.empty(); }
};

// How looks are made: in tests without a network.
struct Looks {
    std::function<Probe(const Target&, const TlsTrust&, const ProbeOptions&)> probe = watch::probe;
    std::function<Canary(const Target&, const Target&, const TlsTrust&, const CanaryOptions&,
                         const ProbeOptions&)>
        canary = fly_canary;
};

struct WatchServices {
    Observe observe;
    History* history = nullptr;  // outlives the watcher; may be null
    Clock clock = system_now;
    double jitter = 0.5;  // a random number from 0 to 1
    Looks looks{};
};

// What is known of one thing that is watched.
struct WatchState {
    std::string name;  // "mail.example.org:995"; of a canary its name
    std::string what;  // "pop3", …; "canary"
    bool own = false, paused = false, looking = false;
    std::uint64_t looks = 0, failed = 0;  // since the start; failed: it did not come to its end
    std::optional<Time> looked;           // the last look's beginning; absent: none yet
    std::optional<Time> next;             // absent while it is paused
    bool up = false;
    std::optional<double> total_s, usual_s;
    std::vector<Phase> phases;
    std::optional<Time> certificate_until;
    // Of the last look; what only thorough looks see, of the last one of these.
    std::vector<Finding> findings;
    std::optional<Severity> worst() const;
};

class Watcher {
  public:
    Watcher(WatchSettings settings, WatchServices services);
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    void start();
    void stop();
    // This server takes nobody new, or does again: it is not looked at meanwhile, and a look that is under
    // way ends at once. Others are watched on.
    void pause_own();
    void resume_own();

    std::vector<WatchState> states() const;  // ports, then canaries, in the order of the settings

  private:
    class Signal;
    using Instant = Schedule::Instant;
    // What is kept about one of them beside its state.
    struct Kept {
        WatchState state;
        std::vector<Finding> thorough_findings;
        std::optional<double> usual_s;
        Instant usual_from{};  // when it was computed
        bool usual_known = false;
    };

    void work();
    void look(const Schedule::Look& look);
    Schedule::Outcome look_at_port(const WatchedPort& port, std::size_t who, bool thorough,
                                   const std::function<bool()>& broken_off);
    Schedule::Outcome look_at_canary(const WatchedCanary& canary, std::size_t who,
                                     const std::function<bool()>& broken_off);
    std::optional<double> usual(const WatchedPort& port, std::size_t who);
    void keep(const std::vector<Figure>& figures, Time at);
    void note_port(std::size_t who, const Probe& seen, bool thorough, std::optional<double> usual_s);
    void log_change(const WatchState& before, const WatchState& now) const;
    void tell(std::vector<Observation> observations) const;
    bool is_own(std::size_t who) const;
    Time wall_time(Instant instant, Instant now) const;

    const WatchSettings settings_;
    const WatchServices services_;
    std::unique_ptr<Signal> stopped_, own_stopped_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    Schedule schedule_;
    std::vector<Kept> kept_;
    bool stopping_ = false, own_paused_ = false;
    std::uint64_t own_pauses_ = 0;
    bool somebody_waits_ = false;  // for the next one's time; the others wait to take over from him
    std::atomic<bool> history_failed_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace pier::watch
