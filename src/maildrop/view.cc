#include "maildrop/view.h"

#include <algorithm>
#include <utility>

namespace pier::maildrop {
namespace {

constexpr Time always = Time::min();

Time days_before(Time now, std::uint32_t days) {
    return now - std::chrono::days(days);
}

}  // namespace

View::View(std::shared_ptr<const store::Snapshot> inbox) : inbox_(std::move(inbox)) {}

// Nothing that came in here before `earliest` can be younger; what came in since may be old mail that was
// imported. One that was removed meanwhile, or that cannot be looked up, is shown: it was there.
void View::add_since(std::uint32_t part, Time earliest) {
    const store::Snapshot& from = snapshot({part, 0});
    const auto entries = from.entries();
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (earliest != always) {
            if (entries[i].guid.time() < earliest) continue;
            const auto details = from.details(i);
            if (details && details->internal_date < earliest) continue;
        }
        places_.push_back({part, static_cast<std::uint32_t>(i)});
    }
}

void View::count() {
    octets_ = 0;
    for (const Place& at : places_)
        octets_ += snapshot(at).entries()[at.index].octets;
}

View View::last(std::shared_ptr<const store::Snapshot> inbox, const Policy& policy, Time now) {
    View view(std::move(inbox));
    if (policy.show_days == 0 && (policy.show_messages == 0 || policy.show_messages >= view.messages()))
        return view;
    view.whole_ = false;
    view.add_since(0, policy.show_days == 0 ? always : days_before(now, policy.show_days));
    if (policy.show_messages != 0 && policy.show_messages < view.places_.size())
        view.places_.erase(view.places_.begin(), view.places_.end() - policy.show_messages);
    view.places_.shrink_to_fit();
    view.count();
    return view;
}

View View::recent(std::shared_ptr<const store::Snapshot> inbox,
                  std::vector<std::shared_ptr<const store::Snapshot>> kept, const Policy& policy, Time now) {
    View view(std::move(inbox));
    view.kept_ = std::move(kept);
    view.whole_ = false;
    const Time earliest = days_before(now, policy.recent_days);
    for (std::size_t part = 0; part <= view.kept_.size(); ++part)
        view.add_since(static_cast<std::uint32_t>(part), earliest);
    const auto guid = [&](const Place& at) { return view.snapshot(at).entries()[at.index].guid; };
    std::ranges::stable_sort(view.places_, {}, guid);
    view.places_.shrink_to_fit();
    view.count();
    return view;
}

std::vector<store::Uid> View::inbox_uids(const std::vector<std::size_t>& indexes) const {
    std::vector<store::Uid> uids;
    uids.reserve(indexes.size());
    for (const std::size_t index : indexes) {
        const Place at = place(index);
        if (at.part == 0) uids.push_back(inbox_->entries()[at.index].uid);
    }
    return uids;
}

}  // namespace pier::maildrop
