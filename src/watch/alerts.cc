#include "watch/alerts.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace pier::watch {
namespace {

std::string cut(const std::string& text) {
    if (text.size() <= alert_text_octets_max) return text;
    std::size_t end = alert_text_octets_max;
    // Not in the middle of a character.
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
        --end;
    return text.substr(0, end);
}

bool counts_as_ill(const Observation& seen) {
    return seen.severity && *seen.severity != Severity::note;
}

void take_texts(Alert& alert, const Observation& seen) {
    alert.what = cut(seen.what);
    alert.evidence = cut(seen.evidence);
    alert.step = cut(seen.step);
}

bool is_worse(const Alert& left, const Alert& right) {
    return std::tuple(right.state, right.severity, left.since, left.key) <
           std::tuple(left.state, left.severity, right.since, right.key);
}

}  // namespace

std::string_view to_string(AlertState state) {
    switch (state) {
        case AlertState::well:
            return "well";
        case AlertState::suspected:
            return "suspected";
        case AlertState::ill:
            return "ill";
    }
    return "";
}

std::string_view to_string(Change change) {
    switch (change) {
        case Change::raised:
            return "raised";
        case Change::worse:
            return "worse";
        case Change::resolved:
            return "resolved";
        case Change::reminder:
            return "reminder";
        case Change::forgotten:
            return "forgotten";
    }
    return "";
}

Severity Notice::severity() const {
    Severity worst = Severity::note;
    for (const Transition& one : transitions)
        worst = std::max(worst, one.alert.severity);
    return worst;
}

Alerts::Alerts(AlertRules rules) : rules_(std::move(rules)) {}

void Alerts::observe(const Observation& seen, Time now) {
    const bool ill = counts_as_ill(seen);
    auto found = kept_.find(seen.key);
    if (found == kept_.end()) {
        if (!ill) return;
        if (kept_.size() >= alert_keys_max || seen.key.empty() || seen.key.size() > alert_key_octets_max) {
            ++dropped_;
            return;
        }
        found = kept_.try_emplace(seen.key).first;
        found->second.alert.key = seen.key;
    }
    Kept& kept = found->second;
    kept.alert.group = cut(seen.group);
    kept.alert.looked_at = now;
    if (ill)
        see_ill(kept, seen, now);
    else
        see_well(kept, seen, now);
    if (is_to_be_dropped(kept, now)) kept_.erase(found);
}

void Alerts::see_ill(Kept& kept, const Observation& seen, Time now) {
    const unsigned needed = std::max(seen.looks, 1U);
    Alert& alert = kept.alert;
    kept.well_looks = 0;
    if (alert.state == AlertState::ill) {
        kept.worse_looks = *seen.severity > alert.severity ? kept.worse_looks + 1 : 0;
        // The texts belong to the severity: those of a single worse look are not believed yet.
        if (kept.worse_looks > 0 && kept.worse_looks < needed) return;
        if (*seen.severity != alert.severity) {
            ++revision_;
            alert.severity = *seen.severity;
            if (kept.worse_looks > 0) kept.changed_at = now;
        }
        kept.worse_looks = 0;
        return take_texts(alert, seen);
    }
    if (kept.ill_looks == 0) {
        kept.row_since = seen.at;
        kept.row_severity = *seen.severity;
    }
    ++kept.ill_looks;
    kept.row_severity = std::min(kept.row_severity, *seen.severity);
    alert.state = AlertState::suspected;
    alert.severity = kept.row_severity;
    alert.since = kept.row_since;
    take_texts(alert, seen);
    if (kept.ill_looks >= needed) raise(kept, now);
}

void Alerts::raise(Kept& kept, Time now) {
    kept.ill_looks = 0;
    kept.worse_looks = 0;
    kept.alert.state = AlertState::ill;
    kept.changed_at = now;
    std::erase_if(kept.raised_at, [&](Time at) { return now - at > rules_.flapping_within; });
    kept.raised_at.push_back(now);
    if (kept.raised_at.size() > rules_.flapping_raises) kept.raised_at.erase(kept.raised_at.begin());
    kept.alert.flapping = rules_.flapping_raises > 0 && kept.raised_at.size() >= rules_.flapping_raises;
    ++revision_;
}

void Alerts::see_well(Kept& kept, const Observation& seen, Time now) {
    Alert& alert = kept.alert;
    kept.ill_looks = 0;
    kept.worse_looks = 0;
    if (alert.state == AlertState::suspected) {
        alert.state = AlertState::well;
        return take_texts(alert, seen);
    }
    if (alert.state == AlertState::well) return;
    if (kept.well_looks++ == 0) kept.row_since = now;
    if (kept.well_looks < std::max(seen.looks, 1U)) return;
    if (alert.flapping && now - kept.row_since < rules_.settled_after) return;
    alert.state = AlertState::well;
    alert.since = kept.row_since;
    alert.flapping = false;
    alert.acknowledged.reset();
    take_texts(alert, seen);
    kept.well_looks = 0;
    kept.changed_at = now;
    ++revision_;
}

// Of what is well and of which nothing is left to tell, only whether it flaps is of interest.
bool Alerts::is_to_be_dropped(const Kept& kept, Time now) const {
    return kept.alert.state == AlertState::well && !kept.alert.told &&
           (kept.raised_at.empty() || now - kept.raised_at.back() > rules_.flapping_within);
}

std::optional<Change> Alerts::wants(const Kept& kept, Time now) const {
    const Alert& alert = kept.alert;
    if (alert.state != AlertState::ill) {
        if (alert.state == AlertState::well && alert.told) return Change::resolved;
        return {};
    }
    if (!alert.told) return Change::raised;
    if (alert.severity > *alert.told) return Change::worse;
    const auto& known = alert.acknowledged;
    if (known && (!known->until || now < *known->until)) return {};
    if (rules_.remind_after.count() > 0 && alert.told_at && now - *alert.told_at >= rules_.remind_after)
        return Change::reminder;
    return {};
}

bool Alerts::may_be_told(const Kept& kept, bool quiet) const {
    const Alert& alert = kept.alert;
    const Severity about =
        alert.state == AlertState::ill ? alert.severity : alert.told.value_or(Severity::note);
    return !quiet || about == Severity::critical;
}

void Alerts::mark_told(Kept& kept, Change change, Time now) {
    Alert& alert = kept.alert;
    if (change == Change::resolved) {
        alert.told.reset();
        alert.told_at.reset();
    } else {
        alert.told = std::max(alert.told.value_or(alert.severity), alert.severity);
        alert.told_at = now;
        // Who has acknowledged a warning has not acknowledged what became of it.
        if (change == Change::worse) alert.acknowledged.reset();
    }
    ++revision_;
}

std::vector<Notice> Alerts::due(Time now) {
    const bool quiet = rules_.is_quiet && rules_.is_quiet(now);
    std::map<std::string, std::vector<std::pair<Change, Kept*>>> groups;
    std::map<std::string, Time> first;
    for (auto& [key, kept] : kept_) {
        const auto change = wants(kept, now);
        if (!change || !may_be_told(kept, quiet)) continue;
        const std::string& group = kept.alert.group;
        groups[group].emplace_back(*change, &kept);
        // A reminder has waited long enough.
        const Time from = *change == Change::reminder ? now - rules_.gather : kept.changed_at;
        const auto [at, fresh] = first.try_emplace(group, from);
        if (!fresh) at->second = std::min(at->second, from);
    }
    std::vector<Notice> notices;
    for (auto& [group, changes] : groups) {
        if (now - first[group] < rules_.gather) continue;
        Notice& notice = notices.emplace_back();
        notice.group = group;
        for (const auto& [change, kept] : changes) {
            mark_told(*kept, change, now);
            notice.transitions.push_back({change, kept->alert});
        }
    }
    for (auto one = kept_.begin(); one != kept_.end();) {
        Kept& kept = one->second;
        if (now - kept.alert.looked_at <= rules_.forget_after) {
            one = is_to_be_dropped(kept, now) ? kept_.erase(one) : std::next(one);
            continue;
        }
        if (kept.alert.told) notices.push_back({kept.alert.group, {{Change::forgotten, kept.alert}}});
        ++revision_;
        one = kept_.erase(one);
    }
    for (Notice& notice : notices)
        std::ranges::sort(notice.transitions, [](const Transition& left, const Transition& right) {
            return is_worse(left.alert, right.alert);
        });
    return notices;
}

Result<void> Alerts::acknowledge(const std::string& key, std::string by, Time now,
                                 std::optional<std::chrono::seconds> how_long) {
    const auto found = kept_.find(key);
    if (found == kept_.end() || found->second.alert.state != AlertState::ill)
        return Error(ErrorKind::not_found,
                     fmt::format("nothing that is called \"{}\" is ill; `pier alert list` shows what is",
                                 key.substr(0, alert_key_octets_max)));
    Acknowledgement& known = found->second.alert.acknowledged.emplace();
    known.by = cut(by);
    known.at = now;
    if (how_long) known.until = now + *how_long;
    ++revision_;
    return {};
}

std::vector<Alert> Alerts::list() const {
    std::vector<Alert> all;
    for (const auto& [key, kept] : kept_)
        if (kept.alert.state != AlertState::well) all.push_back(kept.alert);
    std::ranges::sort(all, is_worse);
    return all;
}

}  // namespace pier::watch
