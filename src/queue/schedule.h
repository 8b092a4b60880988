// When what is tried where: pure, the clock and chance are passed in; one thread at a time. It knows messages
// by number only, in parts (entry.h) that each go to one destination.
//
//   add() a part; take_lane() names a destination that wants a connection; its lane takes one part after
//   another by take_part(); what is to be tried again is added again; at last lane_closed().
//
// Fair: the destination that has waited longest gets the next connection, and within a destination the
// sources (who has submitted) take turns, so nobody waits behind a thousand messages of somebody else.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "smtp/session.h"

namespace pier::queue {

using std::chrono::seconds;

struct ScheduleSettings {
    std::size_t connections_max = 50;                 // in all
    std::size_t connections_per_destination_max = 4;  // at once
    std::size_t messages_per_minute = 0;              // to one destination; 0: no limit
    seconds retry_first{60};
    seconds retry_max{4 * 3600};
};

// A number in [0, 1).
using Chance = std::function<double()>;

// How long to wait after that many failures (1 and more): doubling from retry_first up to retry_max, a fifth
// more or less by chance, so that what failed together does not come back together.
seconds retry_delay(const ScheduleSettings& settings, std::uint32_t failures, double chance);

struct PartKey {
    std::uint64_t message = 0;
    std::uint32_t part = 0;
    auto operator<=>(const PartKey&) const = default;
};

class Schedule {
  public:
    explicit Schedule(const ScheduleSettings& settings, Chance chance);
    ~Schedule();
    Schedule(const Schedule&) = delete;
    Schedule& operator=(const Schedule&) = delete;

    // To be tried from `due` on. A part that is there already is moved to that time.
    void add(PartKey key, const std::string& destination, std::uint32_t source, Time due, Time now);
    // Of those that are not taken: one, or all of a message.
    void remove(PartKey key);
    void remove(std::uint64_t message);
    // All of the message's that are not taken are due now, and their destinations are not left alone any
    // more. Gives their number.
    std::size_t hasten(std::uint64_t message, Time now);
    std::size_t hasten_all(Time now);

    // The next destination that is to get a connection, if one may be made; it counts from now on.
    std::optional<std::string> take_lane(Time now);
    // For a connection to that destination; absent: nothing is due, or not now.
    std::optional<PartKey> take_part(const std::string& destination, Time now);
    // The connection's first take_part() is behind it, or will not come.
    void lane_asks(const std::string& destination, Time now);
    void lane_closed(const std::string& destination, Time now);

    // Nobody there was reached: it is left alone for a while, as a whole.
    void unreachable(const std::string& destination, Time now);
    void reached(const std::string& destination, Time now);
    // Tried again at once, whatever was before.
    void forgive(const std::string& destination, Time now);
    // Absent: it may be tried. Else until when it is left alone.
    std::optional<Time> left_alone_until(const std::string& destination, Time now) const;

    // How long a part waits after so many attempts of its own.
    seconds delay_after(std::uint32_t attempts) const { return retry_delay(settings_, attempts, chance_()); }

    // Those that wait for a destination, due or not.
    std::vector<PartKey> parts_for(const std::string& destination) const;

    std::size_t parts() const { return parts_.size(); }
    std::size_t destinations() const { return destinations_.size(); }
    std::size_t lanes() const { return lanes_; }

    // Forgets destinations that nothing waits for any more. Now and then.
    void tidy_up(Time now);

  private:
    struct Destination;
    struct Waiting {
        Destination* destination = nullptr;
        Time due{};
        std::uint32_t source = 0;
        bool ready = false;  // it stands in Destination::ready
        std::uint64_t round = 0, sequence = 0;
    };
    using Due = std::pair<Time, PartKey>;

    Destination& find(const std::string& name);
    Destination* present(const std::string& name);
    const Destination* present(const std::string& name) const;
    void hasten(PartKey key, Waiting& waiting, Time now);
    void make_ready(Destination& destination, Time now);
    void take_out(Destination& destination, PartKey key, const Waiting& waiting);
    bool rate_allows(const Destination& destination, Time now) const;
    std::optional<Time> wants_lane(const Destination& destination, Time now) const;
    void stop_wanting(Destination& destination);
    void reconsider(Destination& destination, Time now);
    bool idle(const Destination& destination, Time now) const;

    const ScheduleSettings settings_;
    const Chance chance_;
    std::unordered_map<std::string, std::unique_ptr<Destination>> destinations_;
    std::map<PartKey, Waiting> parts_;
    // When each wants its next connection; who has waited longer stands before.
    std::set<std::tuple<Time, std::uint64_t, Destination*>> wanting_;
    std::size_t lanes_ = 0;
    std::uint64_t sequence_ = 0;
};

}  // namespace pier::queue
