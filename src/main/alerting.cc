#include "main/alerting.h"

#include <ctime>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "base/whole_file.h"
#include "watch/quiet_hours.h"

namespace pier::program {
namespace {

constexpr mode_t file_mode = 0600;

std::unique_ptr<AlertChannels> make_way(const Config& config, std::vector<AlertChannelConfig> channels) {
    if (channels.empty()) return nullptr;
    AlertChannels::Settings settings;
    settings.channels = std::move(channels);
    settings.server = config.server.hostname;
    settings.resolve_after = alertmanager_resolve_after;
    settings.user = config.server.user;
    auto made = AlertChannels::make(std::move(settings));
    if (made) return std::move(*made);
    log::error("alerts.channels.off",
               {{"reason", made.error().text},
                {"hint",
                 "nobody is told by these channels until that is mended and Pier restarted; `pier "
                 "alert list` shows what is wrong"}});
    return nullptr;
}

std::chrono::minutes minutes_of_day(Time now) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(
        std::chrono::time_point_cast<std::chrono::system_clock::duration>(now));
    std::tm local{};
    ::localtime_r(&seconds, &local);
    return std::chrono::hours(local.tm_hour) + std::chrono::minutes(local.tm_min);
}

}  // namespace

AlertWays make_alert_ways(const Config& config) {
    std::vector<AlertChannelConfig> people, alertmanagers;
    for (const AlertChannelConfig& one : config.alerts.channels)
        (one.kind == ChannelKind::alertmanager ? alertmanagers : people).push_back(one);
    return {make_way(config, std::move(people)), make_way(config, std::move(alertmanagers))};
}

watch::AlertRules alert_rules(const AlertsConfig& config) {
    watch::AlertRules rules;
    rules.remind_after = config.remind_after;
    ::tzset();
    if (const auto hours = watch::parse_quiet_hours(config.quiet_hours))
        rules.is_quiet = [hours = *hours](Time now) { return hours.contains(minutes_of_day(now)); };
    return rules;
}

Alerting::Alerting(Settings settings, AlertWays ways, Clock clock)
    : settings_(std::move(settings)),
      ways_(std::move(ways)),
      clock_(std::move(clock)),
      alerts_(settings_.rules) {
    load();
}

Alerting::~Alerting() {
    stop();
}

void Alerting::load() {
    if (settings_.file.empty()) return;
    const auto text = read_whole_file(settings_.file, watch::alert_file_octets_max);
    if (!text && text.error().kind == ErrorKind::not_found) return;
    Result<void> loaded = text ? alerts_.load(*text, clock_()) : Result<void>(text.error());
    if (!loaded)
        log::warning("alerts.state.lost", {{"file", settings_.file},
                                           {"reason", loaded.error().text},
                                           {"hint", "what is wrong is told again"}});
    saved_revision_ = alerts_.revision();
}

void Alerting::start(AlertChannels::SendMail send_mail) {
    if (ways_.people) ways_.people->start(std::move(send_mail));
    if (ways_.alertmanagers) ways_.alertmanagers->start({});
    running_ = true;
    thread_ = std::thread([this] { work(); });
}

void Alerting::stop() {
    {
        const std::lock_guard lock(mutex_);
        if (!running_) return;
        running_ = false;
    }
    changed_.notify_all();
    thread_.join();
    if (ways_.people) ways_.people->stop();
    if (ways_.alertmanagers) ways_.alertmanagers->stop();
    if (!settings_.file.empty() && alerts_.revision() != saved_revision_)
        save(alerts_.save(), alerts_.revision());
}

void Alerting::work() {
    std::unique_lock lock(mutex_);
    while (running_) {
        lock.unlock();
        tick();
        lock.lock();
        changed_.wait_for(lock, std::chrono::seconds(1), [this] { return !running_; });
    }
}

void Alerting::observe(watch::Observation seen) {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= observations_waiting_max)
        ++dropped_;
    else
        waiting_.push_back(std::move(seen));
}

void Alerting::tick() {
    const Time now = clock_();
    std::vector<watch::Notice> notices;
    {
        const std::lock_guard lock(mutex_);
        for (const watch::Observation& one : std::exchange(waiting_, {}))
            alerts_.observe(one, now);
        notices = alerts_.due(now);
    }
    tell(notices, now);
    refresh_alertmanagers(now);
    save_if_changed(now);
}

void Alerting::tell(const std::vector<watch::Notice>& notices, Time now) {
    for (const watch::Notice& notice : notices) {
        // In the log it is for a channel of the kind journal to tell.
        log::debug("alert.told", {{"group", notice.group}, {"changes", notice.transitions.size()}});
        if (ways_.people) ways_.people->send(notice, now);
        if (ways_.alertmanagers) ways_.alertmanagers->send(notice, now);
    }
}

// Also what somebody has acknowledged: it is still ill, and Alertmanager has silences of its own.
void Alerting::refresh_alertmanagers(Time now) {
    if (!ways_.alertmanagers || (refreshed_ && now - *refreshed_ < alertmanager_refresh)) return;
    refreshed_ = now;
    std::map<std::string, watch::Notice> notices;
    for (watch::Alert& alert : list()) {
        if (alert.state != watch::AlertState::ill || !alert.told) continue;
        watch::Notice& notice = notices[alert.group];
        notice.group = alert.group;
        notice.transitions.push_back({watch::Change::reminder, std::move(alert)});
    }
    for (const auto& [group, notice] : notices)
        ways_.alertmanagers->send(notice, now);
}

void Alerting::save_if_changed(Time now) {
    if (settings_.file.empty() || saving_ || (saved_ && now - *saved_ < settings_.save_pause)) return;
    std::string text;
    {
        const std::lock_guard lock(mutex_);
        if (alerts_.revision() == saved_revision_ && !said_failure_) return;
        saved_revision_ = alerts_.revision();
        text = alerts_.save();
    }
    saved_ = now;
    if (!settings_.on_disk) return save(text, saved_revision_);
    saving_ = true;
    settings_.on_disk([this, text = std::move(text), revision = saved_revision_] {
        save(text, revision);
        saving_ = false;
    });
}

void Alerting::save(const std::string& text, std::uint64_t revision) {
    const std::lock_guard lock(save_mutex_);
    // stop() does not wait for what it has overtaken.
    if (revision < written_revision_) return;
    written_revision_ = revision;
    const auto written = replace_file(settings_.file, text, file_mode);
    if (!written && !said_failure_)
        log::warning("alerts.state.unsaved", {{"file", settings_.file},
                                              {"reason", written.error().text},
                                              {"hint",
                                               "a restart tells again what is wrong; make room on "
                                               "the disk"}});
    said_failure_ = !written;
}

std::vector<watch::Alert> Alerting::list() const {
    const std::lock_guard lock(mutex_);
    return alerts_.list();
}

Result<void> Alerting::acknowledge(const std::string& key, const std::string& by,
                                   std::optional<std::chrono::seconds> how_long) {
    const std::lock_guard lock(mutex_);
    return alerts_.acknowledge(key, by, clock_(), how_long);
}

Result<std::vector<AlertChannels::Tried>> Alerting::test(const std::string& channel) {
    std::vector<AlertChannels::Tried> all;
    std::optional<Error> missing;
    for (AlertChannels* way : {ways_.people.get(), ways_.alertmanagers.get()}) {
        if (way == nullptr) continue;
        auto tried = way->test(channel, clock_());
        if (tried)
            all.insert(all.end(), tried->begin(), tried->end());
        else if (tried.error().kind == ErrorKind::not_found)
            missing = tried.error();
        else
            return tried.error();
    }
    if (!all.empty()) return all;
    if (missing) return *missing;
    return Error(ErrorKind::not_found,
                 "there is no channel, so nobody is told; name one with [[alerts.channel]] and restart Pier");
}

std::vector<AlertChannels::State> Alerting::channels() const {
    std::vector<AlertChannels::State> all;
    for (const AlertChannels* way : {ways_.people.get(), ways_.alertmanagers.get()}) {
        if (way == nullptr) continue;
        const auto states = way->states();
        all.insert(all.end(), states.begin(), states.end());
    }
    return all;
}

std::uint64_t Alerting::dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_ + alerts_.dropped();
}

}  // namespace pier::program
