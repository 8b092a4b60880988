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
#include "delivery/delivery.h"
#include "maildrop/keeper.h"
#include "main/config.h"
#include "main/guard_file.h"
#include "main/housekeeping.h"
#include "main/sandbox.h"
#include "serve/account_sessions.h"
#include "serve/admin_driver.h"
#include "serve/leases.h"
#include "serve/lmtp_driver.h"
#include "serve/login_delay.h"
#include "serve/pop3_driver.h"
#include "serve/server.h"
#include "store/log/log_store.h"

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

    // What may need root: the certificate and the ports. `handed` are used for the listeners of their
    // names.
    Result<void> bind(const std::vector<HandedSocket>& handed);
    // The store and what stands on it. It may take a moment: the log is replayed. Makes the first threads.
    Result<void> open();
    // What status() tells; before start().
    void sandboxed(const SandboxState& state) { sandbox_ = state; }
    void start();
    // See serve::Server::stop.
    void stop(const std::function<bool()>& hurry);

    // The configuration read again: the log's settings and the certificates are taken up. The text says what
    // was done.
    Result<std::string> reload();

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
    void register_methods();
    boost::json::object status() const;
    void drain(std::chrono::seconds notice);
    void resume();

    struct Bound {
        ListenerConfig config;
        net::ListenSockets sockets;
    };

    Config config_;
    const std::string config_file_;
    const Time started_ = system_now();
    std::size_t threads_ = 1;
    std::atomic<bool> failed_ = false;
    SandboxState sandbox_;
    std::unique_ptr<net::Tls> tls_;
    std::vector<Bound> bound_;
    std::unique_ptr<store::LogStore> store_;
    std::unique_ptr<auth::Directory> directory_;
    std::unique_ptr<auth::Authenticator> authenticator_;
    std::unique_ptr<delivery::Delivery> delivery_;
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
    std::unique_ptr<serve::LmtpService> lmtp_;
    std::deque<serve::Pop3Listener> pop3_listeners_;  // sessions hold references
    admin::Api api_;
    std::unique_ptr<serve::AdminService> admin_;
    std::optional<boost::asio::thread_pool> disk_pool_;  // since open()
    std::unique_ptr<serve::Server> server_;              // last: its sessions use all the others
};

}  // namespace pier::program
