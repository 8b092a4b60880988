// Answers that are kept as long as they may be (RFC 1035 §3.2.1), bounded in number and time. One thread, or
// under the caller's lock.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/time.h"
#include "dns/answer.h"

namespace pier::dns {

struct CacheLimits {
    std::size_t answers_max = 5000;
    std::chrono::seconds time_max = std::chrono::hours(1);             // whatever an answer says of itself
    std::chrono::seconds negative_time_max = std::chrono::minutes(5);  // that something is not there
};

class Cache {
  public:
    explicit Cache(const CacheLimits& limits) : limits_(limits) {}

    // Absent: none, or its time is over. Its `ttl_s` is what it was when it came.
    std::optional<Answer> find(const std::string& name, Type type, Time now);
    // Failures, and what has no time, are not kept. When it is full the oldest goes.
    void add(const std::string& name, Type type, const Answer& answer, Time now);
    std::size_t size() const { return entries_.size(); }

  private:
    using Key = std::pair<std::string, Type>;
    struct Entry {
        Answer answer;
        Time end{};
        std::list<Key>::iterator place;
    };
    void erase(std::map<Key, Entry>::iterator entry);

    const CacheLimits limits_;
    std::map<Key, Entry> entries_;
    std::list<Key> order_;  // oldest first
};

}  // namespace pier::dns
