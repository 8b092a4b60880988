#include "auth/guard_table.h"

#include <algorithm>

namespace pier::auth {
namespace {

constexpr int oldest_looked_at = 16;  // for one that is not blocked

}  // namespace

double LeakyCount::now(Time time, double most, std::chrono::seconds window) const {
    const double elapsed = std::max(0.0, std::chrono::duration<double>(time - at).count());
    return std::max(0.0, level - elapsed * most / static_cast<double>(window.count()));
}

void LeakyCount::add(Time time, double most, std::chrono::seconds window) {
    level = now(time, most, window) + 1;
    at = time;
}

bool GuardEntry::knows(std::uint64_t mark) const {
    return std::find(marks_.begin(), marks_.end(), mark) != marks_.end();
}

void GuardEntry::remember(std::uint64_t mark) {
    marks_[next_mark_] = mark;
    next_mark_ = (next_mark_ + 1) % marks_.size();
}

GuardEntry* GuardTable::find(std::string_view key) {
    const auto at = places_.find(key);
    if (at == places_.end()) return nullptr;
    rows_.splice(rows_.begin(), rows_, at->second);
    return &at->second->second;
}

const GuardEntry* GuardTable::find(std::string_view key) const {
    const auto at = places_.find(key);
    return at == places_.end() ? nullptr : &at->second->second;
}

GuardEntry& GuardTable::get(std::string_view key, Time now) {
    if (GuardEntry* entry = find(key)) return *entry;
    if (rows_.size() >= entries_max_) make_room(now);
    rows_.emplace_front(std::string(key), GuardEntry{});
    places_.emplace(rows_.front().first, rows_.begin());
    return rows_.front().second;
}

void GuardTable::erase(std::string_view key) {
    const auto at = places_.find(key);
    if (at == places_.end()) return;
    const auto row = at->second;
    places_.erase(at);
    rows_.erase(row);
}

// Attack: a flood of new addresses would push out the block of the one that sends it.
void GuardTable::make_room(Time now) {
    for (int i = 0; i < oldest_looked_at && rows_.back().second.blocked(now); ++i)
        rows_.splice(rows_.begin(), rows_, std::prev(rows_.end()));
    places_.erase(rows_.back().first);
    rows_.pop_back();
}

}  // namespace pier::auth
