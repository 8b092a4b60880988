// The page of measurements: takes what every part of the running server counts, when it is asked for. Nothing
// is counted twice for it. One more part is one more function in metrics_page.cc and its rows in
// metric_table.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "auth/authenticator.h"
#include "auth/guard.h"
#include "auth/tokens.h"
#include "backends/chain.h"
#include "base/exposition.h"
#include "filter/filter.h"
#include "main/alerting.h"
#include "main/config.h"
#include "main/process_figures.h"
#include "net/tls.h"
#include "queue/mail_queue.h"
#include "serve/account_sessions.h"
#include "serve/acme_driver.h"
#include "serve/login_delay.h"
#include "serve/meters.h"
#include "serve/pop3_driver.h"
#include "serve/server.h"
#include "serve/smtp_driver.h"
#include "store/log/log_store.h"
#include "watch/watcher.h"

namespace pier::program {

// Where the numbers are. All outlive the page; a pointer may be null where the part may be missing.
struct MetricSources {
    const Config& config;
    Time started;
    const serve::Server& server;
    const store::LogStore& store;
    const auth::Guard& guard;
    const auth::Authenticator& authenticator;
    const serve::AccountSessions& sessions;
    const serve::LoginDelay& login_delay;
    const serve::Pop3Service& pop3;
    std::vector<const serve::SmtpService*> mail;
    struct Tls {
        std::string listener;
        const serve::TlsMeters* meters;
    };
    std::vector<Tls> tls_meters;
    const serve::AcmeService& acme;
    const ProcessFiles& process;
    const net::Tls* tls = nullptr;
    const backends::Chain* chain = nullptr;
    const auth::Tokens* tokens = nullptr;
    const filter::Filter* filter = nullptr;
    const queue::MailQueue* queue = nullptr;
    const watch::Watcher* watcher = nullptr;
    const Alerting* alerting = nullptr;
};

class MetricsPage {
  public:
    explicit MetricsPage(MetricSources sources) : from_(std::move(sources)) {}

    // May wait for the disk: what the store holds is counted, at most once a minute. Any thread.
    metrics::Page collect();

  private:
    void add_server(metrics::Page& page) const;
    void add_tls(metrics::Page& page) const;
    void add_protocol(metrics::Page& page, const serve::ProtocolMeters& meters) const;
    void add_pop3(metrics::Page& page) const;
    void add_mail(metrics::Page& page) const;
    void add_guard(metrics::Page& page) const;
    void add_limits(metrics::Page& page) const;
    void add_store(metrics::Page& page);
    void add_disk(metrics::Page& page) const;
    void add_back_ends(metrics::Page& page) const;
    void add_filter(metrics::Page& page) const;
    void add_queue(metrics::Page& page) const;
    void add_watch(metrics::Page& page) const;
    void add_alerts(metrics::Page& page) const;
    void add_process(metrics::Page& page) const;

    const MetricSources from_;
    std::mutex mutex_;
    std::optional<store::Stats> stats_;
    std::chrono::steady_clock::time_point stats_at_{};
};

}  // namespace pier::program
