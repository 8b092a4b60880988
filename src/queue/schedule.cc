#include "queue/schedule.h"

#include <algorithm>
#include <cmath>
#include <memory>

namespace pier::queue {
namespace {

constexpr std::chrono::minutes rate_window{1};
constexpr double jitter = 0.2;  // of a delay, more or less
constexpr std::uint32_t doublings_max = 30;

// Where a part stands among those that are due: the sources take turns.
struct Turn {
    std::uint64_t round = 0, sequence = 0;
    PartKey key;
    auto operator<=>(const Turn&) const = default;
};

}  // namespace

seconds retry_delay(const ScheduleSettings& settings, std::uint32_t failures, double chance) {
    const std::uint32_t doublings = std::min(std::max<std::uint32_t>(failures, 1) - 1, doublings_max);
    const double plain =
        std::min(std::ldexp(static_cast<double>(settings.retry_first.count()), static_cast<int>(doublings)),
                 static_cast<double>(settings.retry_max.count()));
    const double delay = plain * (1 - jitter + 2 * jitter * chance);
    return std::max(seconds(1), seconds(static_cast<std::int64_t>(std::llround(delay))));
}

struct Schedule::Destination {
    std::string name;
    std::set<Due> later;                                      // not due yet, or not looked at
    std::set<Turn> ready;                                     // due
    std::unordered_map<std::uint32_t, std::uint64_t> rounds;  // of each source: the one its next part gets
    std::uint64_t round = 0;                                  // of the part that was taken last
    std::size_t lanes = 0;
    std::size_t lanes_new = 0;  // of them: they have not asked for anything yet
    std::uint32_t failures = 0;
    Time alone_until{};
    Time window_begun{};  // of the rate
    std::size_t window_parts = 0;
    // As it stands in wanting_.
    std::optional<Time> wants;
    std::uint64_t wants_since = 0;
};

Schedule::Schedule(const ScheduleSettings& settings, Chance chance)
    : settings_(settings), chance_(std::move(chance)) {}
Schedule::~Schedule() = default;

Schedule::Destination& Schedule::find(const std::string& name) {
    auto& found = destinations_[name];
    if (!found) {
        found = std::make_unique<Destination>();
        found->name = name;
    }
    return *found;
}

Schedule::Destination* Schedule::present(const std::string& name) {
    const auto at = destinations_.find(name);
    return at == destinations_.end() ? nullptr : at->second.get();
}

const Schedule::Destination* Schedule::present(const std::string& name) const {
    const auto at = destinations_.find(name);
    return at == destinations_.end() ? nullptr : at->second.get();
}

void Schedule::add(PartKey key, const std::string& destination, std::uint32_t source, Time due, Time now) {
    const auto [at, is_new] = parts_.try_emplace(key);
    if (!is_new) take_out(*at->second.destination, key, at->second);
    Destination& where = find(destination);
    at->second = Waiting{&where, due, source, false, 0, 0};
    where.later.emplace(due, key);
    reconsider(where, now);
}

void Schedule::take_out(Destination& destination, PartKey key, const Waiting& waiting) {
    if (waiting.ready)
        destination.ready.erase({waiting.round, waiting.sequence, key});
    else
        destination.later.erase({waiting.due, key});
}

// A destination that has nothing left may stay in wanting_: take_lane() looks again.
void Schedule::remove(PartKey key) {
    const auto at = parts_.find(key);
    if (at == parts_.end()) return;
    take_out(*at->second.destination, key, at->second);
    parts_.erase(at);
}

void Schedule::remove(std::uint64_t message) {
    const auto begin = parts_.lower_bound({message, 0});
    auto at = begin;
    for (; at != parts_.end() && at->first.message == message; ++at)
        take_out(*at->second.destination, at->first, at->second);
    parts_.erase(begin, at);
}

void Schedule::hasten(PartKey key, Waiting& waiting, Time now) {
    Destination& destination = *waiting.destination;
    destination.failures = 0;
    destination.alone_until = Time();
    if (!waiting.ready && waiting.due > now) {
        destination.later.erase({waiting.due, key});
        waiting.due = now;
        destination.later.emplace(now, key);
    }
    reconsider(destination, now);
}

std::size_t Schedule::hasten(std::uint64_t message, Time now) {
    std::size_t count = 0;
    for (auto at = parts_.lower_bound({message, 0}); at != parts_.end() && at->first.message == message;
         ++at, ++count)
        hasten(at->first, at->second, now);
    return count;
}

std::size_t Schedule::hasten_all(Time now) {
    for (auto& [key, waiting] : parts_)
        hasten(key, waiting, now);
    return parts_.size();
}

// What has become due gets its turn.
void Schedule::make_ready(Destination& destination, Time now) {
    while (!destination.later.empty() && destination.later.begin()->first <= now) {
        const PartKey key = destination.later.begin()->second;
        destination.later.erase(destination.later.begin());
        Waiting& waiting = parts_.at(key);
        std::uint64_t& next_round = destination.rounds[waiting.source];
        waiting.round = std::max(next_round, destination.round);
        next_round = waiting.round + 1;
        waiting.sequence = ++sequence_;
        waiting.ready = true;
        destination.ready.insert({waiting.round, waiting.sequence, key});
    }
}

bool Schedule::rate_allows(const Destination& destination, Time now) const {
    return settings_.messages_per_minute == 0 || destination.window_parts < settings_.messages_per_minute ||
           now - destination.window_begun >= rate_window;
}

// When the destination wants one connection more, as things are.
std::optional<Time> Schedule::wants_lane(const Destination& destination, Time now) const {
    if (destination.lanes >= settings_.connections_per_destination_max) return std::nullopt;
    // After a failure one connection finds out whether it is better.
    if (destination.failures != 0 && destination.lanes != 0) return std::nullopt;
    Time when = now;
    if (destination.ready.size() <= destination.lanes_new) {
        // Those that are under way will take what is due.
        if (destination.later.empty() || !destination.ready.empty()) return std::nullopt;
        if (destination.lanes_new != 0) return std::nullopt;
        when = std::max(when, destination.later.begin()->first);
    }
    when = std::max(when, destination.alone_until);
    if (!rate_allows(destination, when)) when = std::max(when, destination.window_begun + rate_window);
    return when;
}

void Schedule::reconsider(Destination& destination, Time now) {
    make_ready(destination, now);
    if (destination.ready.empty()) {
        destination.rounds.clear();
        destination.round = 0;
    }
    const auto wants = wants_lane(destination, now);
    // Who waits already keeps its place.
    if (wants && destination.wants && *destination.wants <= *wants && *wants <= now) return;
    stop_wanting(destination);
    destination.wants = wants;
    destination.wants_since = ++sequence_;
    if (wants) wanting_.emplace(*wants, destination.wants_since, &destination);
}

void Schedule::stop_wanting(Destination& destination) {
    if (destination.wants) wanting_.erase({*destination.wants, destination.wants_since, &destination});
    destination.wants.reset();
}

std::optional<std::string> Schedule::take_lane(Time now) {
    while (lanes_ < settings_.connections_max && !wanting_.empty() &&
           std::get<Time>(*wanting_.begin()) <= now) {
        Destination& destination = *std::get<Destination*>(*wanting_.begin());
        stop_wanting(destination);
        make_ready(destination, now);
        const auto wants = wants_lane(destination, now);
        if (!wants || *wants > now) {
            reconsider(destination, now);
            continue;
        }
        ++lanes_;
        ++destination.lanes;
        ++destination.lanes_new;
        reconsider(destination, now);
        return destination.name;
    }
    return std::nullopt;
}

std::optional<PartKey> Schedule::take_part(const std::string& name, Time now) {
    Destination* destination = present(name);
    if (destination == nullptr) return std::nullopt;
    make_ready(*destination, now);
    if (destination->ready.empty() || now < destination->alone_until || !rate_allows(*destination, now))
        return std::nullopt;
    const Turn turn = *destination->ready.begin();
    destination->ready.erase(destination->ready.begin());
    destination->round = std::max(destination->round, turn.round);
    parts_.erase(turn.key);
    if (settings_.messages_per_minute != 0) {
        if (now - destination->window_begun >= rate_window) {
            destination->window_begun = now;
            destination->window_parts = 0;
        }
        ++destination->window_parts;
    }
    return turn.key;
}

void Schedule::lane_asks(const std::string& name, Time now) {
    Destination* destination = present(name);
    if (destination == nullptr || destination->lanes_new == 0) return;
    --destination->lanes_new;
    reconsider(*destination, now);
}

void Schedule::lane_closed(const std::string& name, Time now) {
    Destination* destination = present(name);
    if (destination == nullptr || destination->lanes == 0) return;
    --destination->lanes;
    --lanes_;
    reconsider(*destination, now);
}

void Schedule::unreachable(const std::string& name, Time now) {
    Destination& destination = find(name);
    // Several connections that fail together are one failure.
    if (destination.failures != 0 && now < destination.alone_until) return;
    ++destination.failures;
    destination.alone_until = now + retry_delay(settings_, destination.failures, chance_());
    reconsider(destination, now);
}

void Schedule::reached(const std::string& name, Time now) {
    Destination* destination = present(name);
    if (destination == nullptr || destination->failures == 0) return;
    forgive(name, now);
}

void Schedule::forgive(const std::string& name, Time now) {
    Destination* destination = present(name);
    if (destination == nullptr) return;
    destination->failures = 0;
    destination->alone_until = Time();
    reconsider(*destination, now);
}

std::optional<Time> Schedule::left_alone_until(const std::string& name, Time now) const {
    const Destination* destination = present(name);
    if (destination == nullptr || destination->alone_until <= now) return std::nullopt;
    return destination->alone_until;
}

std::vector<PartKey> Schedule::parts_for(const std::string& name) const {
    std::vector<PartKey> keys;
    const Destination* destination = present(name);
    if (destination == nullptr) return keys;
    for (const Turn& turn : destination->ready)
        keys.push_back(turn.key);
    for (const Due& due : destination->later)
        keys.push_back(due.second);
    return keys;
}

bool Schedule::idle(const Destination& destination, Time now) const {
    return destination.ready.empty() && destination.later.empty() && destination.lanes == 0 &&
           destination.alone_until <= now && now - destination.window_begun >= rate_window;
}

void Schedule::tidy_up(Time now) {
    for (auto at = destinations_.begin(); at != destinations_.end();) {
        const auto next = std::next(at);
        if (idle(*at->second, now)) {
            stop_wanting(*at->second);
            destinations_.erase(at);
        }
        at = next;
    }
}

}  // namespace pier::queue
