// What a running server tells of itself (`pier status`).
#include <chrono>
#include <string>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <unistd.h>

#include "main/backend_processes.h"
#include "main/running.h"

namespace pier::program {

boost::json::object Running::status() const {
    boost::json::object listeners;
    for (const auto& [name, endpoint] : server_->listeners())
        listeners[name] = endpoint.text();
    const auto up = std::chrono::duration_cast<std::chrono::seconds>(system_now() - started_).count();
    boost::json::object status{{"version", PIER_VERSION},
                               {"pid", ::getpid()},
                               {"started", to_rfc3339(started_)},
                               {"up_s", up},
                               {"sandbox", {{"landlock", sandbox_.landlock}, {"seccomp", sandbox_.seccomp}}},
                               {"listeners", std::move(listeners)}};
    const auto auth = authenticator_->counts();
    const auto held = store_->held();
    status["connections"] = {{"open", server_->connections()}, {"accepted", server_->accepted()}};
    status["drain"] = {{"draining", server_->draining()}, {"connections", server_->connections_to_drain()}};
    status["pop3"] = {{"logins", pop3_->logins.load()},
                      {"failed_logins", pop3_->failed_logins.load()},
                      {"retrieved", pop3_->retrieved.load()},
                      {"removed", pop3_->removed.load()}};
    status["auth"] = {{"checked", auth.checked}, {"remembered", auth.remembered}};
    const auto mail = [](const serve::SmtpService& service) {
        return boost::json::object{{"messages", service.messages.load()},
                                   {"delivered", service.recipients.load()},
                                   {"octets", service.octets.load()}};
    };
    status["lmtp"] = mail(*lmtp_);
    status["smtp"] = mail(*smtp_);
    status["submission"] = submission_status();
    const auto guard = guard_.counts();
    status["guard"] = {{"enabled", config_.guard.settings.enabled},
                       {"blocked", guard.blocked},
                       {"connections_refused", guard.connections_refused},
                       {"logins_refused", guard.logins_refused}};
    // Each by its name in the configuration: what it is, how much of it is used, how often it was reached.
    status["limits"] = {
        {"limits.connections_max",
         {{"limit", config_.limits.connections_max},
          {"now", server_->connections()},
          {"reached", server_->refused_in_all()}}},
        {"limits.connections_per_address_max",
         {{"limit", config_.limits.connections_per_address_max},
          {"reached", server_->refused_per_address()}}},
        {"limits.new_connections_per_minute_max",
         {{"limit", config_.limits.new_connections_per_minute_max}, {"reached", server_->refused_by_rate()}}},
        {"limits.sessions_per_account_max",
         {{"limit", config_.limits.sessions_per_account_max}, {"reached", sessions_.refused()}}},
        {"pop3.login_delay",
         {{"limit", config_.pop3.login_delay.count()}, {"reached", login_delay_.refused()}}},
        {"submission.counted_accounts_max",
         {{"limit", config_.submission.rate.counted_accounts_max}, {"now", send_rate_->counted()}}},
        {"auth.waiting_max",
         {{"limit", config_.auth.limits.waiting_max}, {"now", auth.waiting}, {"reached", auth.turned_away}}},
        {"auth.remembered_max", {{"limit", config_.auth.limits.remembered_max}, {"now", auth.kept}}},
        {"store.listing_cache_size",
         {{"limit", config_.store.listing_cache_octets}, {"now", held.listing_octets}}},
        {"store.segment_files_max",
         {{"limit", config_.store.segment_files_max}, {"now", held.segment_files}}}};
    describe_queue(status);
    describe_watch(status);
    if (chain_) {
        status["backends"] = describe(*chain_);
        status["limits"].as_object()["auth.backend_cache_max"] = {{"limit", config_.auth.backend_cache_max},
                                                                  {"now", chain_->remembered()}};
    }
    if (filter_) {
        const auto counts = filter_->counts();
        status["filter"] = {{"asked", counts.asked},
                            {"refused", counts.refused},
                            {"marked", counts.marked},
                            {"unchecked", counts.unchecked}};
    }
    if (tokens_) {
        const auto tokens = tokens_->counts();
        const auto process = issuer_->state();
        status["oauth"] = {{"worker", process.worker},     {"pid", process.pid},
                           {"restarts", process.restarts}, {"checked", tokens.checked},
                           {"asked", tokens.asked},        {"outages", tokens.outages},
                           {"waiting", tokens.waiting},    {"kept", tokens.kept}};
    }
    if (tls_) {
        const auto problems = tls_->problems();
        status["tls"] = {{"certificate", tls_upkeep_->settings().files.certificate},
                         {"days_left", tls_->days_left()},
                         {"self_signed", tls_->stands_in()},
                         {"problems", boost::json::array(problems.begin(), problems.end())}};
    }
    return status;
}

}  // namespace pier::program
