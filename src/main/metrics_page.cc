#include "main/metrics_page.h"

#include <algorithm>
#include <map>

#include <sys/resource.h>
#include <sys/statvfs.h>

#include "main/metric_table.h"

namespace pier::program {
namespace {

constexpr std::chrono::seconds stats_are_fresh{60};  // counting them reads the index of all mailboxes

double seconds_since_1970(Time time) {
    return std::chrono::duration<double>(time.time_since_epoch()).count();
}

}  // namespace

metrics::Page MetricsPage::collect() {
    metrics::Page page(metric_table());
    page.add("pier_build", 1, {PIER_VERSION});
    page.add("pier_start_time_seconds", seconds_since_1970(from_.started));
    add_server(page);
    add_tls(page);
    add_pop3(page);
    add_mail(page);
    add_guard(page);
    add_limits(page);
    add_store(page);
    add_disk(page);
    add_back_ends(page);
    add_filter(page);
    add_queue(page);
    add_watch(page);
    add_alerts(page);
    add_process(page);
    return page;
}

void MetricsPage::add_server(metrics::Page& page) const {
    page.add("pier_draining", from_.server.draining() ? 1 : 0);
    for (const auto& [name, endpoint] : from_.server.listeners())
        page.add("pier_listener", 1, {name, endpoint.text()});
    for (const serve::ListenerCounts& one : from_.server.counts()) {
        page.add("pier_connections_open", one.open, {one.name});
        page.add("pier_connections_accepted", one.accepted, {one.name});
        for (std::size_t i = 0; i < one.refused.size(); ++i)
            page.add("pier_connections_refused", one.refused[i], {one.name, serve::refusal_names[i]});
        page.add("pier_received_bytes", one.octets_in, {one.name});
        page.add("pier_sent_bytes", one.octets_out, {one.name});
    }
}

void MetricsPage::add_tls(metrics::Page& page) const {
    using serve::TlsMeters;
    for (const auto& [listener, meters] : from_.tls_meters) {
        for (const auto version : {TlsMeters::Version::tls12, TlsMeters::Version::tls13})
            for (const auto kind : {TlsMeters::Kind::full, TlsMeters::Kind::resumed})
                page.add("pier_tls_handshakes", meters->done(version, kind),
                         {listener, TlsMeters::version_names[static_cast<std::size_t>(version)],
                          TlsMeters::kind_names[static_cast<std::size_t>(kind)]});
        page.add("pier_tls_handshakes_failed", meters->failed(), {listener});
        page.add("pier_tls_handshake_seconds", meters->time().values(), {listener});
    }
    if (from_.tls == nullptr) return;
    if (!from_.tls->stands_in())
        page.add("pier_tls_certificate_left_seconds", from_.tls->days_left() * 86'400.0);
    page.add("pier_tls_self_signed", from_.tls->stands_in() ? 1 : 0);
    page.add("pier_tls_problems", from_.tls->problems().size());
    page.add("pier_acme_challenges_answered", from_.acme.answered.load());
}

void MetricsPage::add_protocol(metrics::Page& page, const serve::ProtocolMeters& meters) const {
    for (std::size_t i = 0; i < meters.commands().size(); ++i) {
        const auto times = meters.command_time(i).values();
        if (times.count() > 0)
            page.add("pier_command_seconds", times, {meters.protocol(), meters.commands()[i]});
    }
}

void MetricsPage::add_pop3(metrics::Page& page) const {
    const auto auth = from_.authenticator.counts();
    page.add("pier_passwords_checked", auth.checked);
    page.add("pier_passwords_remembered", auth.remembered);
    page.add("pier_password_checks_waiting", auth.waiting);
    page.add("pier_pop3_sessions_opened", from_.pop3.logins.load());
    page.add("pier_pop3_retrieved", from_.pop3.retrieved.load());
    page.add("pier_pop3_removed", from_.pop3.removed.load());
    if (from_.pop3.meters == nullptr) return;
    const serve::ProtocolMeters& meters = *from_.pop3.meters;
    const std::string_view protocol = meters.protocol();
    add_protocol(page, meters);
    for (std::size_t i = 0; i < serve::mechanism_names.size(); ++i)
        for (std::size_t j = 0; j < serve::login_outcome_names.size(); ++j)
            page.add("pier_logins",
                     meters.logins(static_cast<serve::Mechanism>(i), static_cast<serve::LoginOutcome>(j)),
                     {protocol, serve::mechanism_names[i], serve::login_outcome_names[j]});
    page.add("pier_sessions", meters.sessions.load(), {protocol});
    page.add("pier_login_seconds", meters.login_time.values(), {protocol});
    page.add("pier_maildrop_open_seconds", meters.open_time.values(), {protocol});
    page.add("pier_first_octet_seconds", meters.first_octet_time.values(), {protocol});
}

void MetricsPage::add_mail(metrics::Page& page) const {
    for (const serve::SmtpService* service : from_.mail) {
        if (service->meters == nullptr) continue;
        const serve::ProtocolMeters& meters = *service->meters;
        const std::string_view protocol = meters.protocol();
        add_protocol(page, meters);
        for (std::size_t i = 0; i < serve::reply_class_names.size(); ++i) {
            const std::string_view reply = serve::reply_class_names[i];
            page.add("pier_recipients", meters.recipients[i].load(), {protocol, reply});
            page.add("pier_deliveries", meters.messages[i].load(), {protocol, reply});
        }
        page.add("pier_delivery_seconds", meters.delivery_time.values(), {protocol});
        page.add("pier_messages_received", service->messages.load(), {protocol});
        page.add("pier_messages_received_bytes", service->octets.load(), {protocol});
    }
}

void MetricsPage::add_guard(metrics::Page& page) const {
    const auto guard = from_.guard.counts();
    page.add("pier_guard_blocked", guard.blocked);
    page.add("pier_guard_tracked", guard.addresses, {"addresses"});
    page.add("pier_guard_tracked", guard.accounts, {"accounts"});
    page.add("pier_guard_tracked", guard.pairs, {"pairs"});
    page.add("pier_guard_blocks", guard.blocks);
    page.add("pier_guard_strikes", guard.strikes);
    page.add("pier_guard_logins_delayed", guard.logins_delayed);
    page.add("pier_guard_logins_refused", guard.logins_refused);
    page.add("pier_guard_connections_refused", guard.connections_refused);
}

void MetricsPage::add_limits(metrics::Page& page) const {
    const Config& config = from_.config;
    const auto auth = from_.authenticator.counts();
    const auto held = from_.store.held();
    struct Row {
        std::string_view limit;
        std::uint64_t most;
        std::optional<std::uint64_t> used, reached;
    };
    const Row rows[] = {
        {"limits.connections_max", config.limits.connections_max, from_.server.connections(),
         from_.server.refused_in_all()},
        {"limits.connections_per_address_max",
         config.limits.connections_per_address_max,
         {},
         from_.server.refused_per_address()},
        {"limits.new_connections_per_minute_max",
         config.limits.new_connections_per_minute_max,
         {},
         from_.server.refused_by_rate()},
        {"limits.sessions_per_account_max",
         config.limits.sessions_per_account_max,
         {},
         from_.sessions.refused()},
        {"pop3.login_delay",
         static_cast<std::uint64_t>(config.pop3.login_delay.count()),
         {},
         from_.login_delay.refused()},
        {"auth.waiting_max", config.auth.limits.waiting_max, auth.waiting, auth.turned_away},
        {"auth.remembered_max", config.auth.limits.remembered_max, auth.kept, {}},
        {"store.listing_cache_size", config.store.listing_cache_octets, held.listing_octets, {}},
        {"store.segment_files_max", config.store.segment_files_max, held.segment_files, {}}};
    for (const Row& row : rows) {
        page.add("pier_limit", row.most, {row.limit});
        if (row.used) page.add("pier_limit_used", *row.used, {row.limit});
        if (row.reached) page.add("pier_limit_reached", *row.reached, {row.limit});
    }
}

void MetricsPage::add_store(metrics::Page& page) {
    store::Stats stats;
    {
        const std::lock_guard lock(mutex_);
        const auto now = std::chrono::steady_clock::now();
        if (!stats_ || now - stats_at_ >= stats_are_fresh) {
            stats_ = from_.store.stats();
            stats_at_ = now;
        }
        stats = *stats_;
    }
    const auto held = from_.store.held();
    page.add("pier_store_failed", from_.store.failed() ? 1 : 0);
    page.add("pier_store_accounts", stats.accounts);
    page.add("pier_store_mailboxes", stats.mailboxes);
    page.add("pier_store_messages", stats.messages);
    page.add("pier_store_segments", stats.segments);
    page.add("pier_store_segment_bytes", stats.segment_octets);
    page.add("pier_store_live_bytes", stats.live_octets);
    page.add("pier_store_cleaned_segments", stats.cleaned_segments);
    page.add("pier_store_groups", held.groups);
    page.add("pier_store_records", held.group_records);
    page.add("pier_store_sync_seconds", from_.store.sync_times());
    page.add("pier_store_listing_bytes", held.listing_octets);
    page.add("pier_store_open_files", held.segment_files);
    page.add("pier_store_index_bytes", held.index_file_octets, {"files"});
    page.add("pier_store_index_bytes", held.index_cached_octets, {"cache"});
    page.add("pier_store_index_bytes", held.index_memory_octets, {"memory"});
}

void MetricsPage::add_disk(metrics::Page& page) const {
    struct statvfs disk {};
    if (::statvfs(from_.config.server.data_folder.c_str(), &disk) != 0) return;
    const auto block = static_cast<double>(disk.f_frsize);
    page.add("pier_disk_free_bytes", static_cast<double>(disk.f_bavail) * block);
    page.add("pier_disk_size_bytes", static_cast<double>(disk.f_blocks) * block);
}

void MetricsPage::add_back_ends(metrics::Page& page) const {
    if (from_.chain != nullptr) {
        for (const auto& state : from_.chain->states()) {
            const std::string& name = state.settings.name;
            page.add("pier_backend_up", state.channel.worker == "ready" ? 1 : 0, {name});
            page.add("pier_backend_requests", state.channel.requests, {name});
            page.add("pier_backend_outages", state.outages, {name});
            page.add("pier_backend_restarts", state.channel.restarts, {name});
            page.add("pier_backend_waiting", state.channel.waiting, {name});
        }
        page.add("pier_backend_cached_names", from_.chain->remembered());
    }
    if (from_.tokens != nullptr) {
        const auto tokens = from_.tokens->counts();
        page.add("pier_tokens_checked", tokens.checked);
        page.add("pier_tokens_asked", tokens.asked);
        page.add("pier_tokens_outages", tokens.outages);
    }
}

void MetricsPage::add_filter(metrics::Page& page) const {
    if (from_.filter == nullptr) return;
    const filter::Filter::Counts filter = from_.filter->counts();
    page.add("pier_filter_up", filter.down ? 0 : 1);
    page.add("pier_filter_messages", filter.asked);
    page.add("pier_filter_refused", filter.refused);
    page.add("pier_filter_marked", filter.marked);
    page.add("pier_filter_unchecked", filter.unchecked);
    page.add("pier_filter_under_way", filter.under_way);
    page.add("pier_filter_seconds", from_.filter->times());
}

void MetricsPage::add_queue(metrics::Page& page) const {
    if (from_.queue == nullptr) return;
    const queue::MailQueue::Counts queue = from_.queue->counts();
    page.add("pier_queue_messages", queue.messages);
    page.add("pier_queue_held", queue.held);
    page.add("pier_queue_destinations", queue.destinations);
    page.add("pier_queue_unreachable", queue.unreachable);
    page.add("pier_queue_connections", queue.connections);
    page.add("pier_queue_added", queue.added);
    page.add("pier_queue_refused", queue.refused);
    page.add("pier_queue_recipients", queue.delivered, {"delivered"});
    page.add("pier_queue_recipients", queue.deferred, {"deferred"});
    page.add("pier_queue_recipients", queue.failed, {"failed"});
    page.add("pier_queue_recipients", queue.expired, {"expired"});
    page.add("pier_queue_notices", queue.notices);
}

void MetricsPage::add_watch(metrics::Page& page) const {
    if (from_.watcher == nullptr) return;
    for (const watch::WatchState& state : from_.watcher->states()) {
        const std::string_view target = state.name, what = state.what;
        page.add("pier_probe_looks", state.looks - state.failed, {target, what, "well"});
        page.add("pier_probe_looks", state.failed, {target, what, "failed"});
        if (!state.looked) continue;
        page.add("pier_probe_up", state.up ? 1 : 0, {target, what});
        page.add("pier_probe_last_look_timestamp_seconds", seconds_since_1970(*state.looked), {target, what});
        if (state.total_s) page.add("pier_probe_time_seconds", *state.total_s, {target, what});
        if (state.usual_s) page.add("pier_probe_usual_time_seconds", *state.usual_s, {target, what});
        if (state.what != "canary")
            for (const watch::Phase& phase : state.phases)
                page.add("pier_probe_phase_seconds", std::chrono::duration<double>(phase.time).count(),
                         {target, what, phase.name});
        if (state.certificate_until)
            page.add("pier_probe_certificate_end_timestamp_seconds",
                     seconds_since_1970(*state.certificate_until), {target, what});
        for (const auto severity :
             {watch::Severity::note, watch::Severity::warning, watch::Severity::critical})
            page.add("pier_probe_findings",
                     std::ranges::count(state.findings, severity, &watch::Finding::severity),
                     {target, what, watch::to_string(severity)});
    }
}

// Of channels of one kind together: their names would make rows, too, but nobody asks for them.
void MetricsPage::add_alerts(metrics::Page& page) const {
    if (from_.alerting == nullptr) return;
    const std::vector<watch::Alert> alerts = from_.alerting->list();
    for (const auto severity : {watch::Severity::warning, watch::Severity::critical})
        page.add("pier_alerts",
                 std::ranges::count_if(alerts,
                                       [&](const watch::Alert& alert) {
                                           return alert.state == watch::AlertState::ill &&
                                                  alert.severity == severity;
                                       }),
                 {watch::to_string(severity)});
    std::map<std::string_view, AlertChannels::State> kinds;
    for (const AlertChannels::State& state : from_.alerting->channels()) {
        AlertChannels::State& sum = kinds[to_string(state.kind)];
        sum.sent += state.sent;
        sum.failed += state.failed;
        sum.dropped += state.dropped;
    }
    for (const auto& [kind, sum] : kinds) {
        page.add("pier_alert_notices", sum.sent, {kind, "sent"});
        page.add("pier_alert_notices", sum.failed, {kind, "failed"});
        page.add("pier_alert_notices", sum.dropped, {kind, "dropped"});
    }
}

void MetricsPage::add_process(metrics::Page& page) const {
    page.add("process_start_time_seconds", seconds_since_1970(from_.started));
    if (const auto figures = from_.process.figures()) {
        page.add("process_cpu_seconds", figures->cpu_s);
        page.add("process_resident_memory_bytes", figures->resident_octets);
        page.add("process_virtual_memory_bytes", figures->virtual_octets);
        page.add("process_threads", figures->threads);
    }
    if (const auto open = from_.process.open_descriptors()) page.add("process_open_fds", *open);
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) page.add("process_max_fds", limit.rlim_cur);
}

}  // namespace pier::program
