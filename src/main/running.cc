#include "main/running.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "admin/app_password_methods.h"
#include "admin/guard_methods.h"
#include "admin/methods.h"
#include "admin/second_factor_methods.h"
#include "base/log.h"
#include "base/whole_file.h"
#include "main/alert_methods.h"
#include "main/backend_processes.h"
#include "main/change_methods.h"
#include "main/config_delivery.h"
#include "main/config_file.h"
#include "main/config_oauth.h"
#include "main/directory_changes.h"
#include "main/maildrop_methods.h"
#include "main/message_methods.h"
#include "main/methods.h"
#include "main/queue_methods.h"
#include "main/store_options.h"
#include "store/log/log_store.h"

namespace pier::program {
namespace {

constexpr std::size_t acme_status_octets_max = 64 << 10;
constexpr std::chrono::seconds tls_look_pause{5};
constexpr std::size_t disk_threads = 4;  // they wait for the disk, not for a core
// Whoever may connect may put mail into any maildrop: the group's members (adduser postfix pier), not
// everyone.
constexpr unsigned lmtp_socket_mode = 0660;
constexpr unsigned admin_socket_mode = 0600;
// A batch of imported messages is this large, or one message.
constexpr std::uint64_t management_octets_over_message = 16 << 20;

std::vector<net::Endpoint> endpoints_of(const ListenerConfig& listener) {
    using boost::asio::ip::make_address;
    if (!listener.path.empty()) return {net::Endpoint{{}, 0, listener.path}};
    if (listener.address != "*") return {net::Endpoint{make_address(listener.address), listener.port, ""}};
    return {net::Endpoint{make_address("0.0.0.0"), listener.port, ""},
            net::Endpoint{make_address("::"), listener.port, ""}};
}

serve::TlsUse tls_use(const ListenerConfig& listener) {
    if (listener.tls == TlsUse::implicit) return serve::TlsUse::implicit;
    return listener.tls == TlsUse::starttls ? serve::TlsUse::starttls : serve::TlsUse::none;
}

serve::ClearLogin clear_login(const ListenerConfig& listener) {
    switch (listener.clear_login) {
        case ClearLogin::never:
            return serve::ClearLogin::never;
        case ClearLogin::loopback:
            return serve::ClearLogin::loopback;
        case ClearLogin::always:
            return serve::ClearLogin::always;
    }
    return serve::ClearLogin::never;
}

bool speaks_smtp(Protocol protocol) {
    return protocol == Protocol::lmtp || protocol == Protocol::smtp || protocol == Protocol::submission ||
           protocol == Protocol::submissions;
}

const char* busy_text(const ListenerConfig& listener) {
    if (listener.tls == TlsUse::implicit || listener.protocol == Protocol::acme_http) return "";
    if (listener.protocol == Protocol::metrics)
        return "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if (speaks_smtp(listener.protocol)) return "421 4.3.2 Too many connections; try again later\r\n";
    return "-ERR [SYS/TEMP] Too many connections; try again later\r\n";
}

}  // namespace

bool configure_log(const LogConfig& config) {
    log::Options options;
    options.level = config.level;
    options.format = config.format;
    options.file = config.file;
    options.recent_lines_max = config.recent_lines_max;
    // systemd says that our stderr is the journal's: it wants priorities and adds the time itself.
    options.journald = std::getenv("JOURNAL_STREAM") != nullptr && config.file.empty();
    options.timestamps = !options.journald;
    return log::configure(options);
}

namespace {

// All the files, to be compared.
std::string names_of(const net::TlsSettings& settings) {
    std::string names = settings.ticket_keys + '\n' + settings.clients.ca_file;
    const auto add = [&names](const net::TlsFiles& files) {
        for (const std::string& file : {files.certificate, files.key, files.ocsp})
            names += '\n' + file;
    };
    add(settings.files);
    for (const net::TlsFiles& files : settings.others)
        add(files);
    return names;
}

// Landlock's rules were made for the files of the start.
const char* hint_if_elsewhere(const SandboxState& sandbox, const std::string& at_start,
                              const std::string& now) {
    if (sandbox.landlock == 0 || at_start == now) return "";
    return "; its place has changed since the start, and the sandbox may not reach the new one: restart Pier";
}

}  // namespace

Running::Running(const Config& config, std::string config_file)
    : config_(config),
      config_file_(std::move(config_file)),
      changes_(changes_folder(config)),
      threads_(config.server.threads != 0 ? config.server.threads
                                          : std::max(1u, std::thread::hardware_concurrency())),
      guard_(config.guard.settings, even_clock()),
      guard_file_(guard_, config.server.data_folder),
      sessions_(config.limits.sessions_per_account_max),
      login_delay_(config.pop3.login_delay) {}

Running::~Running() {
    stop([] { return true; });
}

Result<void> Running::bind(const std::vector<HandedSocket>& handed) {
    if (has_tls(config_)) {
        auto tls = net::Tls::load(tls_settings(config_));
        if (!tls) return tls.error();
        tls_ = std::move(*tls);
        acme_.tls = tls_.get();
        tls_upkeep_ = std::make_unique<TlsUpkeep>(*tls_, tls_settings(config_));
    }
    for (const ListenerConfig& listener : config_.listeners)
        if (auto bound = bind_listener(listener, handed); !bound) return bound;
    plan_watch();
    return {};
}

Result<void> Running::bind_listener(const ListenerConfig& listener, const std::vector<HandedSocket>& handed) {
    bool taken_over = false;
    for (const HandedSocket& socket : handed) {
        if (socket.name != listener.name) continue;
        auto sockets = net::ListenSockets::adopt(socket.fd, threads_);
        if (!sockets) return sockets.error();
        bound_.push_back({listener, std::move(*sockets)});
        taken_over = true;
    }
    // A Unix socket is made in open(), when we are the user whom it shall belong to.
    if (taken_over || !listener.path.empty()) return {};
    return bind_endpoints(listener);
}

Result<void> Running::bind_endpoints(const ListenerConfig& listener) {
    const auto endpoints = endpoints_of(listener);
    Error last;
    bool any = false;
    for (const net::Endpoint& endpoint : endpoints) {
        auto sockets = net::ListenSockets::bind(endpoint, threads_, lmtp_socket_mode);
        if (sockets) {
            bound_.push_back({listener, std::move(*sockets)});
            any = true;
        } else {
            last = sockets.error();
            // A machine without IPv6 (or IPv4) still serves the other family under "*".
            const bool no_family =
                endpoints.size() > 1 && last.text.find("Address family") != std::string::npos;
            if (!no_family) return last;
        }
    }
    if (!any) return last;
    return {};
}

Result<void> Running::open() {
    disk_pool_.emplace(disk_threads);
    store::LogStoreOptions options = store_options(config_);
    options.on_fatal = [this](const Error& error) {
        log::error("store.failed",
                   {{"reason", error.text},
                    {"hint", "nothing more is accepted; look at the disk, then start again"}});
        failed_ = true;
    };
    auto store = store::open_log_store(std::move(options));
    if (!store) return store.error();
    store_ = std::move(*store);

    guard_file_.load();

    directory_ = std::make_unique<auth::Directory>(*store_);
    if (auto loaded = directory_->load(); !loaded) return loaded;
    directory_->use_separator(config_.delivery.subaddress_separator);
    open_back_ends();
    authenticator_ =
        std::make_unique<auth::Authenticator>(*directory_, config_.auth.limits, system_now, chain_.get());
    delivery_ =
        std::make_unique<delivery::Delivery>(*store_, *directory_, delivery_settings(config_), system_now);

    if (auto opened = open_queue(); !opened) return opened;

    keeper_ = std::make_unique<maildrop::Keeper>(*store_, config_.pop3.policy, system_now);
    housekeeping_ = std::make_unique<Housekeeping>(*directory_, *keeper_, *disk_pool_);

    serve::Pop3Settings pop3;
    pop3.limits = config_.pop3.limits;
    pop3.login_timeout = config_.pop3.login_timeout;
    pop3.idle_timeout = config_.pop3.idle_timeout;
    pop3.tls_handshake_timeout = config_.tls.handshake_timeout;
    pop3.exclusive = config_.pop3.exclusive;
    pop3.scram = offers_scram(config_);
    pop3.greeting = config_.pop3.greeting;
    pop3_.reset(new serve::Pop3Service{*store_, *authenticator_, guard_, sessions_, leases_, login_delay_,
                                       *keeper_, *disk_pool_, tls_.get(), std::move(pop3)});
    pop3_->meters = &pop3_meters_;

    open_tokens();
    open_mail_services();

    server_ = std::make_unique<serve::Server>(
        threads_,
        serve::ServerLimits{config_.limits.connections_max, config_.limits.connections_per_address_max,
                            config_.limits.new_connections_per_minute_max},
        guard_);
    for (const ListenerConfig& listener : config_.listeners) {
        const auto same = [&](const Bound& bound) { return bound.config.name == listener.name; };
        if (!listener.path.empty() && std::none_of(bound_.begin(), bound_.end(), same))
            if (auto bound = bind_endpoints(listener); !bound) return bound;
    }
    for (Bound& bound : bound_) {
        listener_watch_.add(bound.config.name, bound.sockets);
        server_->listen(
            std::move(bound.sockets),
            {bound.config.name, protocol_for(bound.config), bound.config.access, bound.config.proxies,
             bound.config.xclient, busy_text(bound.config), bound.config.protocol != Protocol::metrics});
    }
    bound_.clear();
    open_alerts();
    open_watch();
    open_metrics();
    return open_management();
}

void Running::open_mail_services() {
    if (config_.filter.configured()) filter_ = std::make_unique<filter::Filter>(filter_settings(config_));
    const auto service = [this](smtp::Kind kind, const smtp::Limits& limits,
                                std::chrono::seconds idle_timeout, std::string_view listeners) {
        serve::SmtpSettings settings;
        settings.kind = kind;
        settings.limits = limits;
        settings.idle_timeout = idle_timeout;
        settings.tls_handshake_timeout = config_.tls.handshake_timeout;
        settings.hostname = config_.server.hostname;
        settings.spool_memory_octets = config_.store.spool_memory_octets;
        settings.junk = config_.filter.junk;
        return std::unique_ptr<serve::SmtpService>(
            new serve::SmtpService{*store_, *delivery_, *disk_pool_, guard_, tls_.get(), std::move(settings),
                                   chain_ ? authenticator_.get() : nullptr, nullptr,
                                   is_filtered(config_, listeners) ? filter_.get() : nullptr});
    };
    lmtp_ = service(smtp::Kind::lmtp, config_.lmtp.limits, config_.lmtp.idle_timeout, "lmtp");
    smtp_ = service(smtp::Kind::smtp, config_.smtp.limits, config_.smtp.idle_timeout, "smtp");
    open_submission();
    lmtp_->meters = &lmtp_meters_;
    smtp_->meters = &smtp_meters_;
    submission_->meters = &submission_meters_;
}

void Running::open_back_ends() {
    if (back_end_sockets_.empty()) return;
    std::vector<std::unique_ptr<backends::BackEnd>> all;
    for (std::size_t i = 0; i < back_end_sockets_.size(); ++i)
        all.push_back(backends::back_end_in_process(config_.backends[i], back_end_sockets_[i]));
    back_end_sockets_.clear();
    chain_ = std::make_unique<backends::Chain>(std::move(all), config_.auth.backend_cache_max, system_now);
}

void Running::open_tokens() {
    if (issuer_socket_ < 0) return;
    issuer_ = std::make_unique<backends::IssuerInProcess>(issuer_settings(config_.oauth),
                                                          std::exchange(issuer_socket_, -1));
    tokens_ = std::make_unique<auth::Tokens>(token_settings(config_.oauth), *issuer_);
    pop3_->tokens = tokens_.get();
    pop3_->token_source = {config_.oauth.scope, config_.oauth.openid_configuration};
}

Result<void> Running::open_management() {
    if (config_.admin.socket.empty()) return {};
    register_methods();
    auto sockets = net::ListenSockets::bind({{}, 0, config_.admin.socket}, threads_, admin_socket_mode);
    if (!sockets) return sockets.error();
    admin_.reset(new serve::AdminService{api_, *disk_pool_,
                                         config_.store.message_octets_max + management_octets_over_message});
    auto protocol = [this](net::Connection& connection) { return serve::serve_admin(connection, *admin_); };
    server_->listen(std::move(*sockets), {"admin", std::move(protocol), {}, {}, {}, "", false});
    return {};
}

serve::Protocol Running::protocol_for(const ListenerConfig& listener) {
    if (listener.protocol == Protocol::metrics)
        return [this](net::Connection& connection) { return serve::serve_metrics(connection, *metrics_); };
    serve::TlsMeters* tls_meters = nullptr;
    if (listener.tls != TlsUse::none) {
        tls_meters = &tls_meters_.emplace_back();
        tls_meters_of_.push_back({listener.name, tls_meters});
    }
    if (speaks_smtp(listener.protocol)) {
        serve::SmtpService& service = listener.protocol == Protocol::lmtp   ? *lmtp_
                                      : listener.protocol == Protocol::smtp ? *smtp_
                                                                            : *submission_;
        const serve::SmtpListener& stays = mail_listeners_.emplace_back(
            serve::SmtpListener{listener.name, tls_use(listener), clear_login(listener), tls_meters});
        return [&service, &stays](net::Connection& connection) {
            return serve::serve_smtp(connection, service, stays);
        };
    }
    if (listener.protocol == Protocol::acme)
        return [this, name = listener.name](net::Connection& connection) {
            return serve::serve_acme_tls(connection, acme_, name);
        };
    if (listener.protocol == Protocol::acme_http)
        return [this, name = listener.name](net::Connection& connection) {
            return serve::serve_acme_http(connection, acme_, name);
        };
    const serve::Pop3Listener& stays = pop3_listeners_.emplace_back(
        serve::Pop3Listener{listener.name, tls_use(listener), clear_login(listener), listener.xclient,
                            listener.access, tls_meters});
    return
        [this, &stays](net::Connection& connection) { return serve::serve_pop3(connection, *pop3_, stays); };
}

void Running::register_methods() {
    admin::add_directory_methods(api_, *directory_, *store_);
    admin::add_app_password_methods(api_, *directory_);
    admin::add_second_factor_methods(api_, *directory_);
    add_backend_methods(api_, chain_.get());
    add_mail_methods(api_, *store_, *directory_, *delivery_);
    add_maildrop_methods(api_, *directory_, *keeper_);
    add_message_methods(api_, *store_, *directory_, *keeper_, system_now);
    add_store_methods(api_, *store_);
    admin::add_guard_methods(api_, guard_);
    register_doctor_methods();
    add_queue_methods(
        api_,
        [this]() -> Result<queue::MailQueue*> {
            if (queue_) return queue_.get();
            return Error{ErrorKind::not_found, "this server does not send mail (queue.enabled = false)"};
        },
        Sends::yes);
    record_directory_changes(api_, *directory_, changes_, system_now);
    add_change_methods(api_, changes_, system_now);
    add_watch_methods_to(api_);
    add_alert_methods(api_, *alerting_);
    add_server_methods(
        api_,
        {[this] { return status(); }, [this](const admin::Caller& who) { return reload(who); },
         [this](std::chrono::seconds notice) { drain(notice); }, [this] { resume(); },
         [this] { return acme_status(); }, [this] { return acme_renew(); },
         [this] { return metrics_->text(metrics::Format::openmetrics, std::chrono::steady_clock::now()); }});
}

Result<std::string> Running::reload(const admin::Caller& who) {
    const Loaded loaded = load_config(config_file_);
    for (const Problem& problem : loaded.problems)
        if (problem.severity == Severity::error)
            return Error{ErrorKind::invalid,
                         fmt::format("{}: {}. Nothing was changed; `pier check` shows all that is wrong",
                                     problem.place.text(), problem.text)};
    if (!configure_log(loaded.config.log))
        return Error{ErrorKind::io,
                     fmt::format("the log file {} cannot be opened; the log stays where it was{}",
                                 loaded.config.log.file,
                                 hint_if_elsewhere(sandbox_, config_.log.file, loaded.config.log.file))};
    std::string text = "the log's settings";
    if (tls_) {
        if (!has_tls(loaded.config))
            return Error{
                ErrorKind::invalid,
                "the configuration names no certificate any more, and TLS cannot be switched off while the "
                "server runs; restart it"};
        const net::TlsSettings settings = tls_settings(loaded.config);
        if (auto reloaded = tls_upkeep_->take_up(settings); !reloaded) {
            Error error = reloaded.error();
            error.text += hint_if_elsewhere(sandbox_, names_of(tls_settings(config_)), names_of(settings));
            return error;
        }
        text += settings.others.empty()
                    ? fmt::format(" and the certificate ({} days left)", tls_->days_left())
                    : fmt::format(" and {} certificates ({} days left)", 1 + settings.others.size(),
                                  tls_->days_left());
    }
    text += " were taken up; ";
    if (chain_) {
        chain_->forget({});
        text += "what the back ends had said was forgotten; ";
    }
    text += "changes elsewhere need a restart";
    record_configuration(loaded.config, "reload", who);
    record_certificates("reload", who);
    log::info("reloaded", {{"what", text}});
    return text;
}

void Running::drain(std::chrono::seconds notice) {
    // A look that is refused would tell of an outage, and one under way would be waited for.
    if (watcher_) watcher_->pause_own();
    server_->drain(notice);
    log::info("drain", {{"notice_s", static_cast<std::uint64_t>(notice.count())},
                        {"connections", server_->connections_to_drain()}});
}

void Running::resume() {
    server_->resume();
    if (watcher_) watcher_->resume_own();
    log::info("drain.end", {});
}

// The disk may be slow: not on this thread, and one look at a time.
void Running::look_after_tls() {
    const auto now = std::chrono::steady_clock::now();
    if (!tls_upkeep_ || tls_looking_ || now - tls_looked_ < tls_look_pause) return;
    tls_looked_ = now;
    tls_looking_ = true;
    boost::asio::post(*disk_pool_, [this] {
        if (tls_upkeep_->look()) record_certificates("the files were replaced", {});
        tls_looking_ = false;
    });
}

void Running::obey_tls_agent() {
    while (tls_agent_) {
        const auto request = tls_agent_->next();
        if (!request) return;
        boost::asio::post(*disk_pool_, [this, wanted = *request] {
            if (wanted.wish == TlsAgent::Wish::certificates) {
                if (tls_upkeep_->take_up_changes()) record_certificates("acme", {});
            } else if (auto taken = take_up_challenges(config_.server.data_folder + "/acme/challenges.json",
                                                       *tls_, acme_);
                       !taken) {
                log::error("acme.challenges.refused", {{"reason", taken.error().text}});
                return;  // its process waits in vain, and tells so
            }
            tls_agent_->done(wanted.id);
        });
    }
}

Result<boost::json::object> Running::acme_status() const {
    if (!config_.acme.configured())
        return Error{ErrorKind::not_found, "there is no [acme] section with domains in the configuration"};
    boost::json::object status{{"state", "starting"}, {"failures", 0}, {"failure", ""}};
    const auto text =
        read_whole_file(config_.server.data_folder + "/acme/status.json", acme_status_octets_max);
    if (!text && text.error().kind != ErrorKind::not_found) return text.error();
    if (text) {
        boost::system::error_code error;
        boost::json::value value = boost::json::parse(*text, error);
        if (error || !value.is_object())
            return Error{ErrorKind::corrupt, "acme/status.json cannot be understood"};
        status = std::move(value.as_object());
    }
    status["days_left"] = tls_->stands_in() ? boost::json::value() : boost::json::value(tls_->days_left());
    status["self_signed"] = tls_->stands_in();
    status["answered"] = acme_.answered.load();
    return status;
}

Result<void> Running::acme_renew() {
    if (!config_.acme.configured() || !tls_agent_)
        return Error{ErrorKind::not_found, "there is no [acme] section with domains in the configuration"};
    return tls_agent_->renew();
}

void Running::tick() {
    housekeeping_->tick();
    tick_queue();
    tick_figures();
    tick_vitals();
    tick_listeners();
    obey_tls_agent();
    look_after_tls();
    constexpr std::chrono::seconds pause{60};
    const auto now = std::chrono::steady_clock::now();
    const bool due = now - guard_tidied_ >= pause;
    if (guard_saving_) return;
    const auto changes = guard_.take_changes();
    guard_unsaved_ = guard_unsaved_ || changes.any;
    if (!due && !changes.urgent) return;
    guard_tidied_ = now;
    guard_saving_ = true;
    boost::asio::post(*disk_pool_, [this, save = std::exchange(guard_unsaved_, false)] {
        guard_.tidy_up();
        if (save) guard_file_.save();
        guard_saving_ = false;
    });
}

void Running::stop(const std::function<bool()>& hurry) {
    // First: our own looks would be waited for, and would tell that this server is gone.
    if (watcher_) watcher_->stop();
    // Before those who deliver its mail.
    if (alerting_) alerting_->stop();
    if (server_) server_->stop(config_.server.shutdown_grace, hurry);
    // What is still under way answers to an event loop: so the loops, which the server owns, go last.
    guard_.stop();
    // Before the pool on which it is ticked, and before delivery, which gets its notices.
    if (queue_) queue_->stop();
    if (housekeeping_) housekeeping_->stop();
    if (disk_pool_) disk_pool_->join();
    filter_.reset();
    if (store_ && (guard_.take_changes().any || guard_unsaved_)) guard_file_.save();
    guard_unsaved_ = false;
    if (chain_) chain_->stop();
    if (issuer_) issuer_->stop();
    tokens_.reset();
    issuer_.reset();
    authenticator_.reset();
    chain_.reset();
    transport_.reset();
    queue_.reset();
    resolver_.reset();
    housekeeping_.reset();
    keeper_.reset();
    delivery_.reset();
    directory_.reset();
    store_.reset();
    server_.reset();
}

bool Running::responsive() const {
    constexpr std::chrono::seconds limit{10};
    return server_->responsive(limit);
}

std::string Running::ready_text() const {
    std::string text;
    for (const auto& [name, endpoint] : server_->listeners())
        text += fmt::format("{}{} on {}", text.empty() ? "" : ", ", name, endpoint.text());
    return text;
}

}  // namespace pier::program
