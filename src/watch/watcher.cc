#include "watch/watcher.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"

namespace pier::watch {
namespace {

constexpr std::chrono::minutes usual_is_fresh{10};
constexpr std::size_t usual_points_max = 500;
constexpr const char* thread_name = "pier-watch";

std::string_view verdict(const WatchState& state) {
    const auto worst = state.worst();
    return !worst || *worst == Severity::note ? "well" : to_string(*worst);
}

}  // namespace

// A descriptor that is readable while the signal is given.
class Watcher::Signal {
  public:
    Signal() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    }
    ~Signal() { ::close(fd_); }
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;

    int fd() const { return fd_; }
    void give() const {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
    }
    void take_back() const {
        std::uint64_t count = 0;
        [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof count);
    }

  private:
    const int fd_;
};

std::optional<Severity> WatchState::worst() const {
    std::optional<Severity> worst;
    for (const Finding& finding : findings)
        worst = std::max(worst, std::optional(finding.severity));
    return worst;
}

Watcher::Watcher(WatchSettings settings, WatchServices services)
    : settings_(std::move(settings)),
      services_(std::move(services)),
      stopped_(std::make_unique<Signal>()),
      own_stopped_(std::make_unique<Signal>()),
      schedule_(settings_.rules) {
    for (const WatchedPort& port : settings_.ports) {
        schedule_.add(port.rhythm);
        Kept& one = kept_.emplace_back();
        one.state.name = port.target.text();
        one.state.what = to_string(port.target.protocol);
        one.state.own = port.own;
    }
    for (const WatchedCanary& canary : settings_.canaries) {
        schedule_.add(canary.rhythm);
        Kept& one = kept_.emplace_back();
        one.state.name = canary.name;
        one.state.what = "canary";
        one.state.own = canary.own;
    }
}

Watcher::~Watcher() {
    stop();
}

void Watcher::start() {
    schedule_.start(std::chrono::steady_clock::now(), services_.jitter);
    const std::size_t threads = std::min(watching_threads_max, kept_.size());
    for (std::size_t i = 0; i < threads; ++i)
        threads_.emplace_back([this] {
            ::pthread_setname_np(::pthread_self(), thread_name);
            work();
        });
}

void Watcher::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stopped_->give();
    own_stopped_->give();
    changed_.notify_all();
    for (std::thread& thread : threads_)
        thread.join();
    threads_.clear();
}

bool Watcher::is_own(std::size_t who) const {
    const std::size_t ports = settings_.ports.size();
    return who < ports ? settings_.ports[who].own : settings_.canaries[who - ports].own;
}

void Watcher::pause_own() {
    const std::lock_guard lock(mutex_);
    if (std::exchange(own_paused_, true)) return;
    ++own_pauses_;
    for (std::size_t who = 0; who < kept_.size(); ++who)
        if (is_own(who)) schedule_.pause(who);
    own_stopped_->give();
}

void Watcher::resume_own() {
    {
        const std::lock_guard lock(mutex_);
        if (!std::exchange(own_paused_, false)) return;
        const Instant now = std::chrono::steady_clock::now();
        for (std::size_t who = 0; who < kept_.size(); ++who)
            if (is_own(who)) schedule_.resume(who, now);
        if (!stopping_) own_stopped_->take_back();
    }
    changed_.notify_all();
}

// One thread waits for the time of the next look; when it comes, another takes its place.
void Watcher::work() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (const auto next = schedule_.begin(std::chrono::steady_clock::now())) {
            changed_.notify_one();
            lock.unlock();
            look(*next);
            lock.lock();
            changed_.notify_one();
            continue;
        }
        const auto at = schedule_.next();
        if (somebody_waits_ || !at) {
            changed_.wait(lock);
        } else {
            somebody_waits_ = true;
            changed_.wait_until(lock, *at);
            somebody_waits_ = false;
        }
    }
}

void Watcher::look(const Schedule::Look& look) {
    const std::size_t who = look.who, ports = settings_.ports.size();
    const bool own = is_own(who);
    std::uint64_t pauses = 0;
    {
        const std::lock_guard lock(mutex_);
        pauses = own_pauses_;
    }
    const auto broken_off = [&] {
        const std::lock_guard lock(mutex_);
        return stopping_ || (own && (own_paused_ || own_pauses_ != pauses));
    };
    Schedule::Outcome outcome;
    bool was_broken_off = true;
    try {
        outcome = who < ports ? look_at_port(settings_.ports[who], who, look.thorough, broken_off)
                              : look_at_canary(settings_.canaries[who - ports], who, broken_off);
        was_broken_off = broken_off();
    } catch (const std::exception& failure) {
        log::error("watch.failed", {{"target", kept_[who].state.name},
                                    {"reason", failure.what()},
                                    {"hint", "this look is lost; the next one comes at its time"}});
    }
    const std::lock_guard lock(mutex_);
    const Instant now = std::chrono::steady_clock::now();
    if (was_broken_off)
        schedule_.break_off(who, now);
    else
        schedule_.end(who, now, outcome);
}

Schedule::Outcome Watcher::look_at_port(const WatchedPort& port, std::size_t who, bool thorough,
                                        const std::function<bool()>& broken_off) {
    ProbeOptions options = port.options;
    options.thorough = thorough;
    // USER without a password disturbs nobody; VRFY and RCPT every half minute would fill another server's
    // log.
    options.look = thorough || port.target.protocol == Protocol::pop3;
    options.limits.stop_fd = (port.own ? own_stopped_ : stopped_)->fd();
    if (port.own) options.limits.visits = settings_.visits;
    const Probe seen = services_.looks.probe(port.target, *port.trust, options);
    if (broken_off()) return {};
    const LookedFor how{thorough, options.login.has_value(), port.group, usual(port, who), settings_.usual};
    auto observations = observations_of(seen, how);
    keep(figures_of(seen), seen.begun);
    note_port(who, seen, thorough, how.usual_s);
    const bool doubtful = is_doubtful(observations);
    tell(std::move(observations));
    return {doubtful, thorough && !seen.failure, has_thorough_finding(seen)};
}

Schedule::Outcome Watcher::look_at_canary(const WatchedCanary& canary, std::size_t who,
                                          const std::function<bool()>& broken_off) {
    ProbeOptions options = canary.options;
    options.thorough = options.look = false;
    options.limits.stop_fd = (canary.own ? own_stopped_ : stopped_)->fd();
    if (canary.own) options.limits.visits = settings_.visits;
    const Canary flown =
        services_.looks.canary(canary.sender, canary.fetcher, *canary.trust, canary.canary, options);
    if (broken_off()) return {};
    auto observations = observations_of(flown, canary.name, canary.group);
    const auto figures = figures_of(flown, canary.name);
    keep(figures, flown.begun);
    WatchState before, now;
    {
        const std::lock_guard lock(mutex_);
        WatchState& state = kept_[who].state;
        before = state;
        ++state.looks;
        state.failed += !flown.came;
        state.looked = flown.begun;
        state.up = flown.came && flown.unchanged;
        state.phases = flown.phases;
        state.findings = flown.findings;
        state.total_s.reset();
        for (const Figure& figure : figures)
            if (figure.series.ends_with(".total_s")) state.total_s = figure.value;
        now = state;
    }
    log_change(before, now);
    const bool doubtful = is_doubtful(observations);
    tell(std::move(observations));
    return {.doubtful = doubtful};
}

// Computed now and then: it reads a day of measurements.
std::optional<double> Watcher::usual(const WatchedPort& port, std::size_t who) {
    if (!services_.history) return std::nullopt;
    const Instant now = std::chrono::steady_clock::now();
    {
        const std::lock_guard lock(mutex_);
        const Kept& kept = kept_[who];
        if (kept.usual_known && now - kept.usual_from < usual_is_fresh) return kept.usual_s;
    }
    const Time today = services_.clock();
    std::optional<double> found;
    if (const auto points =
            services_.history->points(series_of(port.target, "total_s"), today - usual_reaches_back,
                                      today - usual_leaves_out, today, usual_points_max))
        found = usual_of(*points, settings_.usual);
    const std::lock_guard lock(mutex_);
    kept_[who].usual_s = found;
    kept_[who].usual_from = now;
    kept_[who].usual_known = true;
    return found;
}

void Watcher::keep(const std::vector<Figure>& figures, Time at) {
    if (!services_.history) return;
    for (const Figure& figure : figures) {
        const auto added = services_.history->add(figure.series, figure.value, at);
        if (added) {
            history_failed_ = false;
        } else if (!history_failed_.exchange(true)) {
            // Once, until it succeeds again: a full disk would say so with each look.
            log::warning("history.failed", {{"series", figure.series},
                                            {"reason", added.error().text},
                                            {"hint", "the server goes on; these measurements are lost"}});
            return;
        }
    }
}

void Watcher::note_port(std::size_t who, const Probe& seen, bool thorough, std::optional<double> usual_s) {
    WatchState before, now;
    {
        const std::lock_guard lock(mutex_);
        Kept& kept = kept_[who];
        WatchState& state = kept.state;
        before = state;
        ++state.looks;
        state.failed += seen.failure.has_value();
        state.looked = seen.begun;
        state.up = !seen.failure;
        state.phases = seen.phases;
        state.total_s = seen.failure ? std::nullopt : std::optional(comparable_seconds(seen));
        state.usual_s = usual_s;
        if (seen.tls && !seen.tls->chain.empty()) state.certificate_until = seen.tls->chain.front().not_after;
        state.findings = seen.findings;
        if (thorough && !seen.failure) {
            kept.thorough_findings.clear();
            std::ranges::copy_if(seen.findings, std::back_inserter(kept.thorough_findings), is_thorough);
        } else {
            std::erase_if(state.findings, is_thorough);
            std::ranges::copy(kept.thorough_findings, std::back_inserter(state.findings));
            std::ranges::stable_sort(state.findings, std::ranges::greater(), &Finding::severity);
        }
        now = state;
    }
    log_change(before, now);
}

void Watcher::log_change(const WatchState& before, const WatchState& now) const {
    const auto change = [&](log::Level level) {
        log::event(level, "watch.seen",
                   {{"target", now.name},
                    {"what", now.what},
                    {"is", verdict(now)},
                    {"finding", now.findings.empty() ? std::string_view() : now.findings.front().what},
                    {"evidence", now.findings.empty() ? std::string_view() : now.findings.front().evidence}});
    };
    const bool is_first = !before.looked && verdict(now) == "well";
    const bool same = before.looked && verdict(before) == verdict(now) && before.up == now.up;
    change(is_first || same ? log::Level::debug : log::Level::info);
}

void Watcher::tell(std::vector<Observation> observations) const {
    if (!services_.observe) return;
    for (Observation& one : observations)
        services_.observe(std::move(one));
}

Time Watcher::wall_time(Instant instant, Instant now) const {
    return services_.clock() + std::chrono::duration_cast<std::chrono::microseconds>(instant - now);
}

std::vector<WatchState> Watcher::states() const {
    const std::lock_guard lock(mutex_);
    const Instant now = std::chrono::steady_clock::now();
    std::vector<WatchState> all;
    for (std::size_t who = 0; who < kept_.size(); ++who) {
        WatchState& state = all.emplace_back(kept_[who].state);
        state.looking = schedule_.looking(who);
        state.paused = schedule_.paused(who);
        if (!state.paused) state.next = wall_time(schedule_.due(who), now);
    }
    return all;
}

}  // namespace pier::watch
