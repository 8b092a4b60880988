#include "watch/schedule.h"

#include <algorithm>

namespace pier::watch {

std::size_t Schedule::add(const Rhythm& rhythm) {
    Entry entry;
    entry.rhythm = rhythm;
    all_.push_back(entry);
    return all_.size() - 1;
}

void Schedule::start(Instant now, double jitter) {
    const double count = static_cast<double>(std::max<std::size_t>(all_.size(), 1));
    for (std::size_t i = 0; i < all_.size(); ++i) {
        Entry& entry = all_[i];
        const double part = (static_cast<double>(i) + std::clamp(jitter, 0.0, 1.0)) / count;
        const auto offset = std::chrono::duration_cast<Milliseconds>(entry.rhythm.interval * part);
        entry.place = entry.due = now + entry.rhythm.interval + offset;
        entry.thorough_due = entry.due;
    }
}

bool Schedule::may_begin(const Entry& entry) const {
    if (entry.running || entry.paused) return false;
    return !entry.slow || slow_running_ < rules_.slow_at_once_max;
}

std::optional<Schedule::Look> Schedule::begin(Instant now) {
    std::optional<std::size_t> first;
    for (std::size_t i = 0; i < all_.size(); ++i) {
        if (!may_begin(all_[i]) || all_[i].due > now) continue;
        if (!first || all_[i].due < all_[*first].due) first = i;
    }
    if (!first) return std::nullopt;
    Entry& entry = all_[*first];
    entry.running = true;
    entry.running_slow = entry.slow;
    slow_running_ += entry.slow;
    entry.begun = now;
    advance(entry, now);
    entry.due = entry.place;
    // A second look is to be like the first one's short part: it asks whether it was a moment's trouble.
    const bool thorough =
        entry.rhythm.thorough_interval.count() > 0 && !entry.doubted && now >= entry.thorough_due;
    return Look{*first, thorough};
}

// To the first of its places behind `now`.
void Schedule::advance(Entry& entry, Instant now) {
    if (entry.place > now) return;
    const auto missed = (now - entry.place) / entry.rhythm.interval;
    entry.place += (missed + 1) * entry.rhythm.interval;
}

void Schedule::stop_running(Entry& entry, Instant now) {
    entry.running = false;
    slow_running_ -= entry.running_slow;
    advance(entry, now);
    entry.due = entry.place;
}

void Schedule::end(std::size_t who, Instant now, const Outcome& outcome) {
    Entry& entry = all_[who];
    stop_running(entry, now);
    entry.slow = now - entry.begun >= rules_.slow_from;
    if (outcome.doubtful && !entry.doubted)
        entry.due = std::clamp(entry.begun + rules_.second_look, now, std::max(now, entry.place));
    entry.doubted = outcome.doubtful;
    if (!outcome.thorough_done) return;
    const auto usual = entry.rhythm.thorough_interval;
    entry.thorough_due =
        entry.begun + (outcome.thorough_bad ? std::min(usual, rules_.thorough_again) : usual);
}

void Schedule::break_off(std::size_t who, Instant now) {
    stop_running(all_[who], now);
}

std::optional<Schedule::Instant> Schedule::next() const {
    std::optional<Instant> first;
    for (const Entry& entry : all_)
        if (may_begin(entry) && (!first || entry.due < *first)) first = entry.due;
    return first;
}

void Schedule::resume(std::size_t who, Instant now) {
    Entry& entry = all_[who];
    entry.paused = false;
    if (entry.running) return;
    advance(entry, now);
    entry.due = entry.place;
    entry.doubted = false;
}

}  // namespace pier::watch
