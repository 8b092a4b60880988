// The watcher's part of a running server, and the figures that are kept of the server itself.
#include <boost/asio/post.hpp>
#include <sodium.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "main/running.h"
#include "main/watch_methods.h"

namespace pier::program {
namespace {

constexpr std::chrono::seconds figures_pause{60}, listeners_pause{60};
// It reads the index of all mailboxes.
constexpr std::chrono::minutes store_pause{15};
// Of the most that can be watched, each with its phases, and the server's own figures.
constexpr std::size_t series_max = 600;

double random_part() {
    constexpr std::uint32_t parts = 1 << 20;
    return static_cast<double>(::randombytes_uniform(parts)) / parts;
}

}  // namespace

// May need root. A server that cannot watch serves all the same.
void Running::plan_watch() {
    auto plan = watch_plan(config_);
    if (!plan) {
        watch_problem_ = plan.error().text;
        log::error("watch.off", {{"reason", watch_problem_},
                                 {"hint", "nothing is watched until that is mended and Pier restarted"}});
        return;
    }
    watch_plan_ = std::make_unique<WatchPlan>(std::move(*plan));
    for (const NotWatched& one : watch_plan_->left_out)
        log::info("watch.left_out", {{"listener", one.listener}, {"reason", one.reason}});
}

void Running::open_watch() {
    auto opened = watch::History::open(config_.server.data_folder + "/history", {.series_max = series_max});
    if (opened)
        history_ = std::move(*opened);
    else
        log::error("history.off", {{"reason", opened.error().text},
                                   {"hint", "nothing that is measured is kept; the server goes on"}});
    server_->use_own_visits(&own_visits_);
    if (!watch_plan_ || !watch_plan_->settings.any()) return;
    watch_plan_->settings.visits = &own_visits_;
    watch::WatchServices services;
    services.observe = observer();
    services.history = history_.get();
    services.jitter = random_part();
    watcher_ = std::make_unique<watch::Watcher>(std::move(watch_plan_->settings), std::move(services));
    watch_plan_.reset();
}

void Running::add_watch_methods_to(admin::Api& api) {
    add_watch_methods(api, [this] { return watcher_.get(); });
    add_history_methods(api, history_.get(), system_now);
}

// Writing them waits for the disk: not on this thread.
void Running::tick_figures() {
    const auto now = std::chrono::steady_clock::now();
    if (!history_ || now - figures_kept_ < figures_pause || figures_keeping_.exchange(true)) return;
    const bool first = figures_kept_ == std::chrono::steady_clock::time_point{};
    figures_kept_ = now;
    boost::asio::post(*disk_pool_, [this, first] {
        keep_figures(first);
        figures_keeping_ = false;
    });
}

// While the server drains its ports stay its own: no need to look away.
void Running::tick_listeners() {
    const auto now = std::chrono::steady_clock::now();
    if (now - listeners_looked_ < listeners_pause || listeners_looking_.exchange(true)) return;
    listeners_looked_ = now;
    boost::asio::post(*disk_pool_, [this] {
        for (watch::Observation& one : listener_watch_.look(system_now()))
            observer()(std::move(one));
        listeners_looking_ = false;
    });
}

void Running::keep_figures(bool first) {
    const Time now = system_now();
    const auto add = [&](const char* series, double value) {
        [[maybe_unused]] const auto added = history_->add(series, value, now);  // the next one tries again
    };
    const auto number = [](auto count) { return static_cast<double>(count); };
    add("server.connections", number(server_->connections()));
    add("server.sessions", number(pop3_meters_.sessions.load() + submission_meters_.sessions.load()));
    struct statvfs disk {};
    if (::statvfs(config_.server.data_folder.c_str(), &disk) == 0)
        add("server.disk_free_octets", number(disk.f_bavail) * number(disk.f_frsize));
    ServerCounts counts;
    counts.logins = pop3_->logins.load();
    counts.failed_logins = pop3_->failed_logins.load();
    counts.messages_in = lmtp_->messages.load() + smtp_->messages.load() + submission_->messages.load();
    counts.retrieved = pop3_->retrieved.load();
    if (queue_) {
        const auto queue = queue_->counts();
        counts.messages_out = queue.delivered;
        add("server.queue", number(queue.messages));
    }
    // What is counted since the start is kept as how much of it there was in the minute.
    if (!first) {
        add("server.logins", number(counts.logins - figures_before_.logins));
        add("server.failed_logins", number(counts.failed_logins - figures_before_.failed_logins));
        add("server.messages_in", number(counts.messages_in - figures_before_.messages_in));
        add("server.messages_out", number(counts.messages_out - figures_before_.messages_out));
        add("server.retrieved", number(counts.retrieved - figures_before_.retrieved));
    }
    figures_before_ = counts;
    const auto even = std::chrono::steady_clock::now();
    if (even - store_measured_ < store_pause) return;
    store_measured_ = even;
    add("server.store_octets", number(store_->stats().segment_octets));
}

void Running::describe_watch(boost::json::object& status) const {
    boost::json::object watch{{"targets", 0}, {"up", 0}, {"down", 0}, {"warnings", 0}, {"critical", 0}};
    if (!watch_problem_.empty()) watch["problem"] = watch_problem_;
    if (watcher_) {
        std::uint64_t targets = 0, up = 0, down = 0, warnings = 0, critical = 0;
        for (const watch::WatchState& state : watcher_->states()) {
            ++targets;
            up += state.looked && state.up;
            down += state.looked && !state.up;
            for (const watch::Finding& finding : state.findings) {
                warnings += finding.severity == watch::Severity::warning;
                critical += finding.severity == watch::Severity::critical;
            }
        }
        watch = {
            {"targets", targets}, {"up", up}, {"down", down}, {"warnings", warnings}, {"critical", critical}};
    }
    status["watch"] = std::move(watch);
}

}  // namespace pier::program
