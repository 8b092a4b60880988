#include "dns/cache.h"

#include <algorithm>

namespace pier::dns {

std::optional<Answer> Cache::find(const std::string& name, Type type, Time now) {
    const auto found = entries_.find({name, type});
    if (found == entries_.end()) return std::nullopt;
    if (now < found->second.end) return found->second.answer;
    erase(found);
    return std::nullopt;
}

void Cache::add(const std::string& name, Type type, const Answer& answer, Time now) {
    if (answer.kind == Answer::Kind::failed || answer.ttl_s == 0 || limits_.answers_max == 0) return;
    const Key key(name, type);
    if (const auto present = entries_.find(key); present != entries_.end()) erase(present);
    while (entries_.size() >= limits_.answers_max)
        erase(entries_.find(order_.front()));
    const auto limit = answer.kind == Answer::Kind::found
                           ? limits_.time_max
                           : std::min(limits_.negative_time_max, limits_.time_max);
    order_.push_back(key);
    entries_[key] = {answer, now + std::min<std::chrono::seconds>(limit, std::chrono::seconds(answer.ttl_s)),
                     std::prev(order_.end())};
}

void Cache::erase(std::map<Key, Entry>::iterator entry) {
    order_.erase(entry->second.place);
    entries_.erase(entry);
}

}  // namespace pier::dns
