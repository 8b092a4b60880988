// A running server: every part built from the configuration and wired to the others, in the order in which
// they depend on each other. Built, started and stopped by serve().
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/thread_pool.hpp>

#include "admin/api.h"
#include "auth/authenticator.h"
#include "auth/directory.h"
#include "auth/tokens.h"
#include "backends/chain.h"
#include "backends/token_service.h"
#include "delivery/delivery.h"
#include "dns/resolver.h"
#include "maildrop/keeper.h"
#include "main/alerting.h"
#include "main/change_log.h"
#include "main/config.h"
#include "main/guard_file.h"
#include "main/housekeeping.h"
#include "main/listener_watch.h"
#include "main/metrics_page.h"
#include "main/sandbox.h"
#include "main/tls_agent.h"
#include "main/tls_upkeep.h"
#include "main/vitals_watch.h"
#include "main/watch_plan.h"
#include "queue/mail_queue.h"
#include "serve/account_sessions.h"
#include "serve/admin_driver.h"
#include "serve/leases.h"
#include "serve/login_delay.h"
#include "serve/metrics_driver.h"
#include "serve/pop3_driver.h"
#include "serve/server.h"
#include "serve/smtp_driver.h"
#include "store/log/log_store.h"
#include "watch/history.h"
#include "watch/watcher.h"

namespace pier::program {

// A listening socket that systemd has handed over, with its FileDescriptorName.
struct HandedSocket {
    std::string name;
    int fd = -1;
};

// Takes the log's settings up. False if its file cannot be opened: then it stays as it was.
bool configure_log(const LogConfig& config);

class Running {
  public:
    Running(const Config& config, std::string config_file);
    ~Running();

    // The socket of start_tls_agent(); before open().
    void use_tls_agent(int fd) { tls_agent_ = std::make_unique<TlsAgent>(fd); }
    // What may need root: the certificate and the ports. `handed` are used for the listeners of their
    // names.
    Result<void> bind(const std::vector<HandedSocket>& handed);
    // The store and what stands on it. It may take a moment: the log is replayed. Makes the first threads.
    Result<void> open();
    // The processes of the back ends, of start_back_ends(); before open().
    void take_back_ends(std::vector<int> sockets) { back_end_sockets_ = std::move(sockets); }
    // The same for start_token_issuer().
    void take_token_issuer(int socket) { issuer_socket_ = socket; }
    // The channels of alerts, of make_alert_ways(); before bind().
    void take_alert_ways(AlertWays ways) { alert_ways_ = std::move(ways); }
    // Takes what somebody who watches has seen (watch/observation.h); until stop(). Any thread.
    watch::Observe observer();
    // What status() tells; before start().
    void sandboxed(const SandboxState& state) { sandbox_ = state; }
    void start();
    // See serve::Server::stop.
    void stop(const std::function<bool()>& hurry);

    // The configuration read again, as `who` wants it: the log's settings and the certificates are taken up.
    // The text says what was done.
    Result<std::string> reload(const admin::Caller& who);

    bool failed() const { return failed_; }  // the store is beyond use: the process should end
    bool responsive() const;
    // What is to be done now and then, without waiting for the disk. About once a second.
    void tick();
    std::size_t connections() const { return server_->connections(); }
    std::string ready_text() const;  // "pop3 on 127.0.0.1:1110, …"

  private:
    Result<void> bind_listener(const ListenerConfig& listener, const std::vector<HandedSocket>& handed);
    Result<void> open_management();
    Result<void> bind_endpoints(const ListenerConfig& listener);
    serve::Protocol protocol_for(const ListenerConfig& listener);
    void open_back_ends();
    void open_mail_services();
    void open_submission();
    boost::json::object submission_status() const;
    void open_tokens();
    Result<void> open_queue();
    void deliver_notice(smtp::Envelope envelope, std::unique_ptr<store::Spool> octets,
                        store::Done<void> done);
    void tick_queue();
    void describe_queue(boost::json::object& status) const;
    void open_metrics();
    void plan_watch();
    void open_watch();
    void add_watch_methods_to(admin::Api& api);
    void open_alerts();
    void start_alerts();
    void tick_vitals();
    void look_at_vitals();
    Result<void> send_notice(const std::string& from, const std::vector<std::string>& to,
                             const std::string& message);
    Result<void> send_notice_to(const smtp::Address& from, const std::string& to, const std::string& message);
    void tick_figures();
    void tick_listeners();
    void keep_figures(bool first);
    void describe_watch(boost::json::object& status) const;
    void register_methods();
    void register_doctor_methods();
    Result<boost::json::value> examine_login(const admin::Call& call);
    Result<boost::json::value> examine_recipient(const admin::Call& call);
    const ListenerConfig* login_listener(std::string_view protocol, std::string_view name,
                                         std::optional<bool> tls) const;
    void record_change(Change change, const Facts& now);
    void record_configuration(const Config& config, std::string by, const admin::Caller& who);
    void record_certificates(std::string by, const admin::Caller& who);
    void record_start();
    void look_after_tls();
    void obey_tls_agent();
    Result<boost::json::object> acme_status() const;
    Result<void> acme_renew();
    boost::json::object status() const;
    void drain(std::chrono::seconds notice);
    void resume();

    struct Bound {
        ListenerConfig config;
        net::ListenSockets sockets;
    };

    // What is counted since the start, as it was when figures were last kept.
    struct ServerCounts {
        std::uint64_t logins = 0, failed_logins = 0, messages_in = 0, messages_out = 0, retrieved = 0;
    };

    Config config_;
    const std::string config_file_;
    const Time started_ = system_now();
    const admin::Caller started_by_ = admin::this_process();  // before root is given up
    ChangeLog changes_;
    std::size_t threads_ = 1;
    std::atomic<bool> failed_ = false;
    SandboxState sandbox_;
    std::unique_ptr<net::Tls> tls_;
    std::unique_ptr<TlsUpkeep> tls_upkeep_;
    std::unique_ptr<TlsAgent> tls_agent_;
    serve::AcmeService acme_;
    std::chrono::steady_clock::time_point tls_looked_{};
    std::atomic<bool> tls_looking_ = false;
    std::vector<Bound> bound_;
    std::unique_ptr<store::LogStore> store_;
    std::unique_ptr<auth::Directory> directory_;
    std::vector<int> back_end_sockets_;       // until open()
    std::unique_ptr<backends::Chain> chain_;  // null: no back ends
    std::unique_ptr<auth::Authenticator> authenticator_;
    int issuer_socket_ = -1;                             // until open()
    std::unique_ptr<backends::IssuerInProcess> issuer_;  // null: no tokens are taken
    std::unique_ptr<auth::Tokens> tokens_;
    std::unique_ptr<delivery::Delivery> delivery_;
    std::unique_ptr<filter::Filter> filter_;       // null: nobody looks at mail
    std::unique_ptr<dns::Resolver> resolver_;      // null: [queue] is switched off
    std::unique_ptr<queue::Transport> transport_;  // from open() to start()
    std::unique_ptr<queue::MailQueue> queue_;      // null: [queue] is switched off
    std::atomic<bool> queue_ticking_ = false;
    std::unique_ptr<maildrop::Keeper> keeper_;
    std::unique_ptr<Housekeeping> housekeeping_;
    auth::Guard guard_;
    GuardFile guard_file_;
    std::chrono::steady_clock::time_point guard_tidied_{};
    bool guard_unsaved_ = false;
    std::atomic<bool> guard_saving_ = false;
    serve::AccountSessions sessions_;
    serve::Leases leases_;
    serve::LoginDelay login_delay_;
    std::unique_ptr<serve::Pop3Service> pop3_;
    std::unique_ptr<serve::SendRate> send_rate_;
    std::unique_ptr<serve::SubmissionService> submitters_;
    std::unique_ptr<serve::SmtpService> lmtp_, smtp_, submission_;
    std::deque<serve::Pop3Listener> pop3_listeners_;  // sessions hold references
    std::deque<serve::SmtpListener> mail_listeners_;  // the same
    ProcessFiles process_;                            // opened before the sandbox
    serve::ProtocolMeters pop3_meters_{"pop3", pop3::command_names()};
    serve::ProtocolMeters lmtp_meters_{"lmtp", smtp::command_names()};
    serve::ProtocolMeters smtp_meters_{"smtp", smtp::command_names()};
    serve::ProtocolMeters submission_meters_{"submission", smtp::command_names()};
    std::deque<serve::TlsMeters> tls_meters_;
    std::vector<MetricSources::Tls> tls_meters_of_;  // with their listeners' names
    std::unique_ptr<WatchPlan> watch_plan_;          // from bind() to open()
    std::string watch_problem_;                      // why nothing is watched; empty: there is no problem
    AlertWays alert_ways_;                           // until open()
    std::unique_ptr<Alerting> alerting_;             // since open()
    std::optional<VitalSigns> vitals_;               // of one look at a time
    std::chrono::steady_clock::time_point vitals_looked_{};
    std::atomic<bool> vitals_looking_ = false;
    ListenerWatch listener_watch_;  // its files are opened before the sandbox
    std::chrono::steady_clock::time_point listeners_looked_{};
    std::atomic<bool> listeners_looking_ = false;
    net::OwnVisits own_visits_;
    std::unique_ptr<watch::History> history_;  // null: its folder cannot be used
    std::unique_ptr<watch::Watcher> watcher_;  // null: nothing is watched
    ServerCounts figures_before_;
    std::chrono::steady_clock::time_point figures_kept_{}, store_measured_{};
    std::atomic<bool> figures_keeping_ = false;
    std::unique_ptr<MetricsPage> metrics_page_;
    std::unique_ptr<serve::MetricsService> metrics_;
    admin::Api api_;
    std::unique_ptr<serve::AdminService> admin_;
    std::optional<boost::asio::thread_pool> disk_pool_;  // since open()
    std::unique_ptr<serve::Server> server_;              // last: its sessions use all the others
};

}  // namespace pier::program
