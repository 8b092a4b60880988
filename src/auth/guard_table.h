// What the guard holds against one address, account, or pair of both; and a table of such entries that stays
// within a number whatever attackers do. One thread at a time: the Guard's lock is around it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/time.h"

namespace pier::auth {

// A count that leaks: a full one (`most`) is empty after `window`, at an even rate.
struct LeakyCount {
    double level = 0;  // as it was at `at`
    Time at{};

    double now(Time time, double most, std::chrono::seconds window) const;
    bool empty(Time time, std::chrono::seconds window) const { return level == 0 || time - at >= window; }
    void add(Time time, double most, std::chrono::seconds window);
};

struct GuardEntry {
    LeakyCount failures;  // distinct wrong passwords
    LeakyCount scans;     // connections that were up to no good; of an address alone
    std::uint32_t in_flight = 0;
    std::uint32_t blocks = 0;  // so far: each lasts twice as long as the one before
    Time blocked_until{};
    std::string why;  // it was blocked

    bool blocked(Time now) const { return blocked_until > now; }

    // The wrong passwords seen last, as keyed hashes: the same one again counts once. Of a pair alone.
    bool knows(std::uint64_t mark) const;
    void remember(std::uint64_t mark);

  private:
    std::array<std::uint64_t, 4> marks_{};
    std::size_t next_mark_ = 0;
};

class GuardTable {
  public:
    using Rows = std::list<std::pair<std::string, GuardEntry>>;  // used last first

    explicit GuardTable(std::size_t entries_max) : entries_max_(entries_max) {}
    GuardTable(GuardTable&&) = default;  // the rows stay where they are, so the places hold
    GuardTable& operator=(GuardTable&&) = default;

    GuardEntry* find(std::string_view key);
    const GuardEntry* find(std::string_view key) const;
    // Made if it is not there; if the table is full, in place of one that has not been used for long and is
    // not blocked, as far as there is one among the oldest.
    GuardEntry& get(std::string_view key, Time now);
    void erase(std::string_view key);
    const Rows& rows() const { return rows_; }

    template <class Predicate>
    void erase_if(Predicate predicate) {
        for (auto row = rows_.begin(); row != rows_.end();) {
            const auto at = row++;
            if (predicate(at->second)) erase(at->first);
        }
    }

  private:
    void make_room(Time now);

    std::size_t entries_max_;
    Rows rows_;
    std::unordered_map<std::string_view, Rows::iterator> places_;  // keys are those of the rows
};

}  // namespace pier::auth
