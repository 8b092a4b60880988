#include "main/running.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "admin/app_password_methods.h"
#include "admin/guard_methods.h"
#include "admin/methods.h"
#include "base/log.h"
#include "main/config_file.h"
#include "main/maildrop_methods.h"
#include "main/methods.h"
#include "main/store_options.h"
#include "store/log/log_store.h"

namespace pier::program {
namespace {

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

const char* busy_text(const ListenerConfig& listener) {
    if (listener.tls == TlsUse::implicit) return "";
    if (listener.protocol == Protocol::lmtp) return "421 4.3.2 Too many connections; try again later\r\n";
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
    std::string names = settings.files.certificate + '\n' + settings.files.key;
    for (const net::TlsFiles& files : settings.others)
        names += '\n' + files.certificate + '\n' + files.key;
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
    if (config_.tls.configured()) {
        auto tls = net::Tls::load(tls_settings(config_));
        if (!tls) return tls.error();
        tls_ = std::move(*tls);
    }
    for (const ListenerConfig& listener : config_.listeners)
        if (auto bound = bind_listener(listener, handed); !bound) return bound;
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
    authenticator_ = std::make_unique<auth::Authenticator>(*directory_, config_.auth.limits);
    delivery::Settings delivery;
    delivery.hostname = config_.server.hostname;
    delivery.over_quota = config_.lmtp.over_quota == OverQuota::permanent ? delivery::OverQuota::permanent
                                                                          : delivery::OverQuota::temporary;
    delivery_ = std::make_unique<delivery::Delivery>(*store_, *directory_, std::move(delivery), system_now);

    keeper_ = std::make_unique<maildrop::Keeper>(*store_, config_.pop3.policy, system_now);
    housekeeping_ = std::make_unique<Housekeeping>(*directory_, *keeper_, *disk_pool_);

    serve::Pop3Settings pop3;
    pop3.limits = config_.pop3.limits;
    pop3.login_timeout = config_.pop3.login_timeout;
    pop3.idle_timeout = config_.pop3.idle_timeout;
    pop3.tls_handshake_timeout = config_.tls.handshake_timeout;
    pop3.exclusive = config_.pop3.exclusive;
    pop3.greeting = config_.pop3.greeting;
    pop3_.reset(new serve::Pop3Service{*store_, *authenticator_, guard_, sessions_, leases_, login_delay_,
                                       *keeper_, *disk_pool_, tls_.get(), std::move(pop3)});

    serve::LmtpSettings lmtp;
    lmtp.limits = config_.lmtp.limits;
    lmtp.idle_timeout = config_.lmtp.idle_timeout;
    lmtp.hostname = config_.server.hostname;
    lmtp.spool_memory_octets = config_.store.spool_memory_octets;
    lmtp_.reset(new serve::LmtpService{*store_, *delivery_, *disk_pool_, std::move(lmtp)});

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
    for (Bound& bound : bound_)
        server_->listen(std::move(bound.sockets),
                        {bound.config.name, protocol_for(bound.config), bound.config.access,
                         bound.config.proxies, bound.config.xclient, busy_text(bound.config)});
    bound_.clear();
    return open_management();
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
    if (listener.protocol == Protocol::lmtp)
        return [this, name = listener.name](net::Connection& connection) {
            return serve::serve_lmtp(connection, *lmtp_, name);
        };
    const serve::Pop3Listener& stays = pop3_listeners_.emplace_back(serve::Pop3Listener{
        listener.name, tls_use(listener), clear_login(listener), listener.xclient, listener.access});
    return
        [this, &stays](net::Connection& connection) { return serve::serve_pop3(connection, *pop3_, stays); };
}

void Running::register_methods() {
    admin::add_directory_methods(api_, *directory_, *store_);
    admin::add_app_password_methods(api_, *directory_);
    add_mail_methods(api_, *store_, *directory_, *delivery_);
    add_maildrop_methods(api_, *directory_, *keeper_);
    add_store_methods(api_, *store_);
    admin::add_guard_methods(api_, guard_);
    add_server_methods(api_, {[this] { return status(); }, [this] { return reload(); },
                              [this](std::chrono::seconds notice) { drain(notice); }, [this] { resume(); }});
}

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
    status["lmtp"] = {{"messages", lmtp_->messages.load()},
                      {"delivered", lmtp_->recipients.load()},
                      {"octets", lmtp_->octets.load()}};
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
        {"auth.waiting_max",
         {{"limit", config_.auth.limits.waiting_max}, {"now", auth.waiting}, {"reached", auth.turned_away}}},
        {"auth.remembered_max", {{"limit", config_.auth.limits.remembered_max}, {"now", auth.kept}}},
        {"store.listing_cache_size",
         {{"limit", config_.store.listing_cache_octets}, {"now", held.listing_octets}}},
        {"store.segment_files_max",
         {{"limit", config_.store.segment_files_max}, {"now", held.segment_files}}}};
    if (tls_) status["tls"] = {{"certificate", config_.tls.certificate}, {"days_left", tls_->days_left()}};
    return status;
}

Result<std::string> Running::reload() {
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
        if (!loaded.config.tls.configured())
            return Error{
                ErrorKind::invalid,
                "the configuration names no certificate any more, and TLS cannot be switched off while the "
                "server runs; restart it"};
        const net::TlsSettings settings = tls_settings(loaded.config);
        if (auto reloaded = tls_->reload(settings); !reloaded) {
            Error error = reloaded.error();
            error.text += hint_if_elsewhere(sandbox_, names_of(tls_settings(config_)), names_of(settings));
            log::error("tls.reload.failed",
                       {{"reason", error.text}, {"hint", "what was loaded before stays in use"}});
            return error;
        }
        text += settings.others.empty()
                    ? fmt::format(" and the certificate ({} days left)", tls_->days_left())
                    : fmt::format(" and {} certificates ({} days left)", 1 + settings.others.size(),
                                  tls_->days_left());
    }
    text += " were taken up; changes elsewhere need a restart";
    log::info("reloaded", {{"what", text}});
    return text;
}

void Running::drain(std::chrono::seconds notice) {
    server_->drain(notice);
    log::info("drain", {{"notice_s", static_cast<std::uint64_t>(notice.count())},
                        {"connections", server_->connections_to_drain()}});
}

void Running::resume() {
    server_->resume();
    log::info("drain.end", {});
}

void Running::start() {
    server_->start();
}

void Running::tick() {
    housekeeping_->tick();
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
    if (server_) server_->stop(config_.server.shutdown_grace, hurry);
    // What is still under way answers to an event loop: so the loops, which the server owns, go last.
    guard_.stop();
    if (housekeeping_) housekeeping_->stop();
    if (disk_pool_) disk_pool_->join();
    if (store_ && (guard_.take_changes().any || guard_unsaved_)) guard_file_.save();
    guard_unsaved_ = false;
    authenticator_.reset();
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
