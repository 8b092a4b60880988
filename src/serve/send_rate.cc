#include "serve/send_rate.h"

namespace pier::serve {
namespace {

constexpr auto hour = std::chrono::hours(1), day = std::chrono::hours(24);

bool passes(std::uint64_t count, std::uint64_t more, std::uint64_t limit) {
    return limit != 0 && (more > limit || count > limit - more);
}

}  // namespace

void SendRate::renew(Counts& counts, Time now) {
    if (now - counts.hour.began >= hour) counts.hour = {now};
    if (now - counts.day.began >= day) counts.day = {now};
}

std::string_view SendRate::refusal(const Counts& counts, std::uint64_t recipients) const {
    if (passes(counts.hour.messages, 1, limits_.messages_per_hour_max)) return "messages_per_hour_max";
    if (passes(counts.day.messages, 1, limits_.messages_per_day_max)) return "messages_per_day_max";
    if (passes(counts.hour.recipients, recipients, limits_.recipients_per_hour_max))
        return "recipients_per_hour_max";
    if (passes(counts.day.recipients, recipients, limits_.recipients_per_day_max))
        return "recipients_per_day_max";
    return {};
}

std::string_view SendRate::refusal(store::AccountId account, std::uint64_t recipients) const {
    std::lock_guard lock(mutex_);
    const auto found = accounts_.find(account);
    Counts counts = found == accounts_.end() ? Counts{} : found->second;
    renew(counts, clock_());
    return refusal(counts, recipients);
}

std::string_view SendRate::take(store::AccountId account, std::uint64_t recipients) {
    std::lock_guard lock(mutex_);
    const Time now = clock_();
    if (!accounts_.contains(account)) make_room(now);
    Counts& counts = accounts_[account];
    renew(counts, now);
    const std::string_view why = refusal(counts, recipients);
    if (!why.empty()) {
        ++refused_;
        return why;
    }
    for (Window* window : {&counts.hour, &counts.day}) {
        ++window->messages;
        window->recipients += recipients;
    }
    return {};
}

void SendRate::make_room(Time now) {
    if (accounts_.size() < limits_.counted_accounts_max) return;
    std::erase_if(accounts_, [&](const auto& one) { return now - one.second.day.began >= day; });
    if (accounts_.size() >= limits_.counted_accounts_max && !accounts_.empty())
        accounts_.erase(accounts_.begin());
}

std::uint64_t SendRate::refused() const {
    std::lock_guard lock(mutex_);
    return refused_;
}

std::size_t SendRate::counted() const {
    std::lock_guard lock(mutex_);
    return accounts_.size();
}

}  // namespace pier::serve
