// What Running shows of itself to monitoring systems.
#include "main/running.h"

namespace pier::program {
namespace {

constexpr std::chrono::seconds metrics_timeout{10};  // of one request and its reply

}  // namespace

// Behind all that is measured.
void Running::open_metrics() {
    metrics_page_.reset(new MetricsPage({.config = config_,
                                         .started = started_,
                                         .server = *server_,
                                         .store = *store_,
                                         .guard = guard_,
                                         .authenticator = *authenticator_,
                                         .sessions = sessions_,
                                         .login_delay = login_delay_,
                                         .pop3 = *pop3_,
                                         .mail = {lmtp_.get(), smtp_.get(), submission_.get()},
                                         .tls_meters = tls_meters_of_,
                                         .acme = acme_,
                                         .process = process_,
                                         .tls = tls_.get(),
                                         .chain = chain_.get(),
                                         .tokens = tokens_.get(),
                                         .filter = filter_.get(),
                                         .queue = queue_.get(),
                                         .watcher = watcher_.get(),
                                         .alerting = alerting_.get()}));
    metrics_ = std::make_unique<serve::MetricsService>([this] { return metrics_page_->collect(); },
                                                       *disk_pool_, metrics_timeout);
}

}  // namespace pier::program
