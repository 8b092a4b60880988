#include "main/vitals_watch.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "main/quantity.h"

namespace pier::program {
namespace {

using watch::Observation;

constexpr std::chrono::minutes rate_window{1}, growth_window{10};
constexpr double well_again_below = 0.75;
// One message that a filter has not answered, or one question, proves nothing.
constexpr unsigned looks_of_doubt = 2;

double growth(std::uint64_t now, std::uint64_t before) {
    return now > before ? static_cast<double>(now - before) : 0;
}

}  // namespace

VitalSigns::VitalSigns(const AlertsConfig& rules, std::string server, bool refuses)
    : rules_(rules), server_(std::move(server)), refuses_(refuses) {}

std::vector<Observation> VitalSigns::judge(const VitalReadings& now) {
    while (!kept_.empty() && now.at - kept_.front().at > growth_window)
        kept_.pop_front();
    kept_.push_back({now.at, now.failed_logins, now.blocks, now.queue ? now.queue->messages : 0});
    std::vector<Observation> all;
    judge_disk(now, all);
    judge_queue(now, all);
    judge_guard(now, all);
    judge_filter(now, all);
    judge_back_ends(now, all);
    judge_certificates(now, all);
    last_ = now;
    return all;
}

Observation VitalSigns::judge_disk_answers(bool answers, Time at) const {
    Observation one = observation("disk.answers", at);
    one.what = "The disk answers";
    if (answers) return one;
    one.severity = watch::Severity::critical;
    one.what = "The disk does not answer";
    one.evidence = fmt::format("a look at it has not come back for {} s", vitals_hang.count());
    one.step = "Look at the disk and at what it hangs on: dmesg, and the state of network storage.";
    return one;
}

bool VitalSigns::beyond(const std::string& key, double value, double limit) {
    bool& is = beyond_[key];
    is = limit > 0 && value >= (is ? limit * well_again_below : limit);
    return is;
}

const VitalSigns::Kept& VitalSigns::since(Time at) const {
    const auto found =
        std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) { return kept.at >= at; });
    return found == kept_.end() ? kept_.back() : *found;
}

Observation VitalSigns::observation(std::string key, Time at) const {
    Observation one;
    one.key = std::move(key);
    one.group = server_;
    one.at = at;
    return one;
}

void VitalSigns::judge_disk(const VitalReadings& now, std::vector<Observation>& all) {
    if (!now.disk || now.disk->octets <= 0) return;
    const double percent = 100 * now.disk->free_octets / now.disk->octets;
    const auto warning = static_cast<double>(rules_.disk_free_warning),
               critical = static_cast<double>(rules_.disk_free_critical);
    // Well again one percent above.
    const auto is_short = [&](const std::string& key, double limit) {
        bool& is = beyond_[key];
        is = limit > 0 && percent < (is ? limit + 1 : limit);
        return is;
    };
    const bool urgent = is_short("disk.free critical", critical);
    const bool warned = is_short("disk.free", warning);
    Observation& one = all.emplace_back(observation("disk.free", now.at));
    one.what = fmt::format("The disk has room: {:.0f} % are free", percent);
    if (!urgent && !warned) return;
    one.severity = urgent ? watch::Severity::critical : watch::Severity::warning;
    one.what = "The disk fills up";
    one.evidence = fmt::format("{:.1f} % are free, {}", percent,
                               about_octets(static_cast<std::uint64_t>(now.disk->free_octets)));
    one.step = "Make room: when it is full, no mail is taken. `pier store stats` shows what the store holds.";
}

void VitalSigns::judge_queue(const VitalReadings& now, std::vector<Observation>& all) {
    if (!now.queue) return;
    const std::uint64_t messages = now.queue->messages;
    const char* const step =
        "See what waits, and why: pier queue list. If it is spam that an account sends, disable the account.";
    const auto tell = [&](const char* key, bool ill, std::string what, std::string evidence) {
        Observation& one = all.emplace_back(observation(key, now.at));
        one.what = ill ? std::move(what) : fmt::format("The queue is as it should be: {} messages", messages);
        if (!ill) return;
        one.severity = watch::Severity::warning;
        one.evidence = std::move(evidence);
        one.step = step;
    };
    tell("queue.messages",
         beyond("queue.messages", static_cast<double>(messages), static_cast<double>(rules_.queue_messages)),
         "The queue is long", fmt::format("{} messages wait", messages));
    const double grown = growth(messages, since(now.at - growth_window).messages);
    tell("queue.growth", beyond("queue.growth", grown, static_cast<double>(rules_.queue_growth)),
         "The queue grows",
         fmt::format("{} messages wait, {:.0f} more than ten minutes ago", messages, grown));
    const auto age = now.queue->oldest && now.at > *now.queue->oldest
                         ? std::chrono::duration_cast<seconds>(now.at - *now.queue->oldest)
                         : seconds(0);
    tell("queue.age", rules_.queue_age.count() > 0 && age >= rules_.queue_age,
         "Mail has waited for long in the queue",
         fmt::format("the oldest message has waited for {} h", age.count() / 3600));
}

void VitalSigns::judge_guard(const VitalReadings& now, std::vector<Observation>& all) {
    const Kept& before = since(now.at - rate_window);
    const double failures = growth(now.failed_logins, before.failed_logins);
    const double blocks = growth(now.blocks, before.blocks);
    Observation& guessing = all.emplace_back(observation("guard.guessing", now.at));
    guessing.what = "Hardly anybody guesses passwords";
    if (beyond(guessing.key, failures, static_cast<double>(rules_.login_failures_per_minute))) {
        guessing.severity = watch::Severity::warning;
        guessing.what = "Somebody guesses passwords";
        guessing.evidence = fmt::format("{:.0f} logins have failed within a minute", failures);
        guessing.step =
            "The guard delays and blocks: pier guard list. If they come from everywhere, look in the log "
            "which accounts they try.";
    }
    Observation& blocked = all.emplace_back(observation("guard.blocks", now.at));
    blocked.what = "The guard has hardly anybody to block";
    if (beyond(blocked.key, blocks, static_cast<double>(rules_.blocks_per_minute))) {
        blocked.severity = watch::Severity::warning;
        blocked.what = "Many addresses scan or guess";
        blocked.evidence = fmt::format("{:.0f} blocks within a minute", blocks);
        blocked.step =
            "See who: pier guard list. If it is a proxy or an office, name it in guard.shared_networks.";
    }
}

// While nobody asks, nothing is known.
void VitalSigns::judge_filter(const VitalReadings& now, std::vector<Observation>& all) const {
    if (!now.filter || !last_ || !last_->filter) return;
    if (now.filter->asked == last_->filter->asked) return;
    Observation& one = all.emplace_back(observation("filter.answers", now.at));
    one.looks = looks_of_doubt;
    one.what = "The filter answers";
    if (!now.filter->down) return;
    one.severity = refuses_ ? watch::Severity::critical : watch::Severity::warning;
    one.what = "The filter does not answer";
    one.evidence = refuses_ ? "mail is refused for a while meanwhile (filter.refuse_when_down)"
                            : "mail is delivered unchecked meanwhile";
    one.step = "See whether rspamd runs, and whether filter.rspamd is its address.";
}

void VitalSigns::judge_back_ends(const VitalReadings& now, std::vector<Observation>& all) const {
    if (!last_) return;
    for (const VitalReadings::BackEnd& back_end : now.back_ends) {
        const auto before = std::ranges::find(last_->back_ends, back_end.name, &VitalReadings::BackEnd::name);
        if (before == last_->back_ends.end()) continue;
        const bool failed = back_end.gone || back_end.outages > before->outages;
        if (!failed && back_end.asked == before->asked) continue;  // nobody has asked it
        Observation& one =
            all.emplace_back(observation(fmt::format("backend.{}.answers", back_end.name), now.at));
        one.looks = looks_of_doubt;
        one.what = fmt::format("The back end \"{}\" answers", back_end.name);
        if (!failed) continue;
        one.severity = watch::Severity::critical;
        one.what = fmt::format("The back end \"{}\" does not answer", back_end.name);
        one.evidence = back_end.gone ? std::string("its process has died")
                                     : fmt::format("{} questions without an answer since the last look",
                                                   back_end.outages - before->outages);
        one.step =
            "Whom only it knows cannot log in. See whether its server runs; `pier doctor` and the log "
            "(backend.…) say what it answers.";
    }
}

void VitalSigns::judge_certificates(const VitalReadings& now, std::vector<Observation>& all) const {
    if (!now.certificates) return;
    Observation& one = all.emplace_back(observation("certificate.own", now.at));
    one.what = "This server's certificates are good";
    if (now.certificates->usable && now.certificates->problems.empty()) return;
    one.severity = now.certificates->usable ? watch::Severity::warning : watch::Severity::critical;
    one.what = "Something is wrong with this server's certificates";
    one.evidence = fmt::format("{}", fmt::join(now.certificates->problems, "; "));
    one.step = "See `pier status` and `pier doctor`; with [acme] `pier tls` says why there is no new one.";
}

}  // namespace pier::program
