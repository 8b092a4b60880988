// Alerts of a running server: takes what all who watch have seen, decides about once a second who is told
// (watch/alerts.h), hands it to the channels, and keeps it in a file, so that a restart tells nothing again.
//
//   Alerting alerting(settings, std::move(channels), even_clock());
//   alerting.start(send_mail); … alerting.observe(seen); … alerting.stop();
//
// Any thread; start() and stop() once, by one. What was observed before start() is looked at behind it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "main/alert_channels.h"
#include "main/config.h"
#include "watch/alerts.h"

namespace pier::program {

// Observations that wait for the next second; those beyond are dropped, and counted.
inline constexpr std::size_t observations_waiting_max = 8192;
// How often Alertmanager is told what is still ill, and without which it takes it for well.
inline constexpr std::chrono::seconds alertmanager_refresh{std::chrono::minutes(3)};
inline constexpr std::chrono::seconds alertmanager_resolve_after = 3 * alertmanager_refresh;

// By whom it is told; either may be null. Alertmanager wants to hear again and again what is ill, people do
// not.
struct AlertWays {
    std::unique_ptr<AlertChannels> people, alertmanagers;
};
// As AlertChannels::make. Channels that cannot be made are left out with an error in the log: a server that
// cannot tell serves all the same.
AlertWays make_alert_ways(const Config& config);

// What [alerts] says. Reads the machine's time zone: before the sandbox.
watch::AlertRules alert_rules(const AlertsConfig& config);

class Alerting {
  public:
    struct Settings {
        watch::AlertRules rules;
        std::string file;  // of the state; empty: none is kept
        std::chrono::seconds save_pause{5};
        // Does something that waits for the disk, elsewhere; empty: at once. Not called behind stop().
        std::function<void(std::function<void()>)> on_disk{};
    };
    Alerting(Settings settings, AlertWays ways, Clock clock);
    ~Alerting();  // stop()
    Alerting(const Alerting&) = delete;
    Alerting& operator=(const Alerting&) = delete;

    // Reads the file. `send_mail`: see AlertChannels::start.
    void start(AlertChannels::SendMail send_mail);
    // Tells nothing more, and keeps the state. What `on_disk` was given has ended by then or does so.
    void stop();

    void observe(watch::Observation seen);  // does not wait

    std::vector<watch::Alert> list() const;
    Result<void> acknowledge(const std::string& key, const std::string& by,
                             std::optional<std::chrono::seconds> how_long);
    // See AlertChannels::test. `not_found`: no such channel, or none at all.
    Result<std::vector<AlertChannels::Tried>> test(const std::string& channel);
    std::vector<AlertChannels::State> channels() const;
    std::uint64_t dropped() const;  // observations, since the start

    // What the thread does each second; for tests, which start none.
    void tick();

  private:
    void load();
    void work();
    void tell(const std::vector<watch::Notice>& notices, Time now);
    void refresh_alertmanagers(Time now);
    void save_if_changed(Time now);
    void save(const std::string& text, std::uint64_t revision);

    const Settings settings_;
    const AlertWays ways_;
    const Clock clock_;

    mutable std::mutex mutex_;  // of all down to running_
    std::condition_variable changed_;
    watch::Alerts alerts_;
    std::vector<watch::Observation> waiting_;
    std::uint64_t dropped_ = 0;
    bool running_ = false;

    std::thread thread_;
    // Of the thread alone.
    std::optional<Time> refreshed_, saved_;
    std::uint64_t saved_revision_ = 0;

    std::mutex save_mutex_;  // the file
    std::uint64_t written_revision_ = 0;
    std::atomic<bool> saving_ = false, said_failure_ = false;
};

}  // namespace pier::program
