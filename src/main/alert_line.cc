#include "main/alert_line.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace pier::program {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds pause_max{std::chrono::hours(1)};

// Behind the n-th try.
std::chrono::seconds pause_behind(unsigned tries, std::chrono::seconds first) {
    std::chrono::seconds pause = std::min(first, pause_max);
    for (unsigned done = 1; done < tries && pause < pause_max; ++done)
        pause *= 2;
    return std::min(pause, pause_max);
}

}  // namespace

AlertLine::AlertLine(const AlertChannelConfig& config, std::unique_ptr<AlertSender> sender,
                     const AlertLineLimits& limits)
    : name_(config.name), at_least_(config.at_least), sender_(std::move(sender)), limits_(limits) {
    state_.name = config.name;
    state_.kind = config.kind;
}

AlertLine::~AlertLine() {
    stop();
    join();
}

void AlertLine::start() {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(started_, true) || stopping_) return;
    }
    thread_ = std::thread([this] { work(); });
}

void AlertLine::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        waiting_.erase(waiting_.begin() + (under_way_ ? 1 : 0), waiting_.end());
    }
    changed_.notify_all();
}

void AlertLine::join() {
    if (thread_.joinable()) thread_.join();
}

void AlertLine::put(std::shared_ptr<const Shipment> shipment) {
    if (shipment->notice.severity() < at_least_) return;
    bool dropped = false;
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) return;
        waiting_.push_back({std::move(shipment)});
        const std::size_t tried = under_way_ ? 1 : 0;
        if (waiting_.size() > limits_.waiting_max + tried) {
            waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(tried));
            ++state_.dropped;
            dropped = true;
        }
    }
    changed_.notify_all();
    if (dropped)
        log::warning("alert.channel.dropped",
                     {{"channel", name_}, {"hint", "more notices wait for it than it may have"}});
}

AlertChannels::Tried AlertLine::try_now(const Shipment& shipment) {
    {
        const std::lock_guard lock(mutex_);
        if (!started_ || stopping_) return {name_, "the channels do not work now"};
    }
    const Attempt attempt = sender_->send(shipment);
    const std::lock_guard lock(mutex_);
    note(attempt, system_now());
    if (attempt.end == Attempt::End::taken) return {name_, std::nullopt};
    return {name_, attempt.error};
}

AlertChannels::State AlertLine::state() const {
    const std::lock_guard lock(mutex_);
    AlertChannels::State state = state_;
    state.waiting = waiting_.size();
    return state;
}

void AlertLine::note(const Attempt& attempt, Time now) {
    state_.last_error = attempt.error;
    if (attempt.end == Attempt::End::taken || attempt.end == Attempt::End::in_part) state_.last_sent = now;
}

void AlertLine::work() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (waiting_.empty()) {
            changed_.wait(lock);
            continue;
        }
        if (steady_clock::now() < waiting_.front().due) {
            changed_.wait_until(lock, waiting_.front().due);
            continue;
        }
        const std::shared_ptr<const Shipment> shipment = waiting_.front().shipment;
        under_way_ = true;
        lock.unlock();
        const Attempt attempt = sender_->send(*shipment);
        lock.lock();
        under_way_ = false;
        if (stopping_) return;
        const Settled settled = settle(attempt);
        lock.unlock();
        tell(settled, attempt, *shipment);
        lock.lock();
    }
}

AlertLine::Settled AlertLine::settle(const Attempt& attempt) {
    Settled settled;
    settled.was_well = state_.last_error.empty();
    note(attempt, system_now());
    Waiting& first = waiting_.front();
    settled.tries = ++first.tries;
    if (attempt.end == Attempt::End::later && first.tries < limits_.tries_max) {
        settled.fate = Fate::again;
        first.due = steady_clock::now() + pause_behind(first.tries, limits_.retry_after);
        return settled;
    }
    const bool sent = attempt.end == Attempt::End::taken || attempt.end == Attempt::End::in_part;
    settled.fate = sent ? Fate::sent : Fate::given_up;
    ++(sent ? state_.sent : state_.failed);
    waiting_.pop_front();
    return settled;
}

void AlertLine::tell(const Settled& settled, const Attempt& attempt, const Shipment& shipment) const {
    if (settled.fate == Fate::given_up)
        log::error("alert.channel.given_up", {{"channel", name_},
                                              {"group", shipment.notice.group},
                                              {"tries", settled.tries},
                                              {"reason", attempt.error}});
    else if (attempt.end == Attempt::End::in_part)
        log::warning("alert.channel.partly", {{"channel", name_}, {"reason", attempt.error}});
    else if (settled.fate == Fate::again && settled.was_well)
        log::warning("alert.channel.failed",
                     {{"channel", name_}, {"reason", attempt.error}, {"hint", "it is tried again"}});
    else if (settled.fate == Fate::sent && !settled.was_well)
        log::info("alert.channel.well", {{"channel", name_}, {"tries", settled.tries}});
}

}  // namespace pier::program
