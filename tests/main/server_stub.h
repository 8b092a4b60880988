// A management socket with a store behind it, as a running server has it: for testing that commands find it
// and use it.
#pragma once

#include <atomic>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/app_password_methods.h"
#include "admin/guard_methods.h"
#include "admin/methods.h"
#include "admin/protocol.h"
#include "admin/second_factor_methods.h"
#include "main/backend_processes.h"
#include "main/config.h"
#include "main/message_methods.h"
#include "main/methods.h"
#include "main/store_options.h"

namespace pier::program {

class ServerStub {
  public:
    explicit ServerStub(const Config& config)
        : store_(store::open_log_store(store_options(config)).value()),
          directory_(*store_),
          delivery_(*store_, directory_, {config.server.hostname, delivery::OverQuota::temporary},
                    system_now),
          keeper_(*store_, config.pop3.policy, system_now) {
        directory_.load().value();
        admin::add_directory_methods(api_, directory_, *store_);
        admin::add_app_password_methods(api_, directory_);
        admin::add_second_factor_methods(api_, directory_);
        add_backend_methods(api_, nullptr);
        add_mail_methods(api_, *store_, directory_, delivery_);
        add_message_methods(api_, *store_, directory_, keeper_, system_now);
        add_store_methods(api_, *store_);
        admin::add_guard_methods(api_, guard_);
        add_server_methods(api_, {[this] {
                                      return boost::json::object{
                                          {"version", "1"},
                                          {"listeners", {{"pop3", "127.0.0.1:110"}}},
                                          {"drain", {{"connections", connections_to_drain.load()}}}};
                                  },
                                  [](const admin::Caller&) -> Result<std::string> {
                                      return std::string("the log's settings were taken up");
                                  },
                                  [this](std::chrono::seconds given) { notice = given; },
                                  [this] { notice.reset(); },
                                  {},
                                  {},
                                  [] { return std::string("# EOF\n"); }});
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, config.admin.socket.c_str(), sizeof address.sun_path - 1);
        ::unlink(address.sun_path);
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(listener_, 8) != 0)
            throw std::runtime_error(std::strerror(errno));
        thread_ = std::thread([this] { accept_all(); });
    }

    ~ServerStub() {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
    }

    std::atomic<std::size_t> connections_to_drain = 0;
    std::optional<std::chrono::seconds> notice;  // while draining; between two commands

    std::vector<std::string> lines() const {
        const std::lock_guard lock(mutex_);
        return lines_;
    }

  private:
    void accept_all() {
        for (int fd = ::accept(listener_, nullptr, nullptr); fd >= 0;
             fd = ::accept(listener_, nullptr, nullptr)) {
            serve(fd);
            ::close(fd);
        }
    }

    void serve(int fd) {
        std::string in;
        std::string block(65536, '\0');
        const auto more = [&] {
            const ssize_t got = ::read(fd, block.data(), block.size());
            if (got > 0) in.append(block, 0, static_cast<std::size_t>(got));
            return got > 0;
        };
        for (;;) {
            while (in.find('\n') == std::string::npos) {
                if (!more()) return;
            }
            const std::string line = in.substr(0, in.find('\n') + 1);
            in.erase(0, line.size());
            const auto request = admin::parse_request(line, octets_max);
            const std::uint64_t octets = request ? request->octets : 0;
            while (in.size() < octets) {
                if (!more()) return;
            }
            {
                const std::lock_guard lock(mutex_);
                lines_.push_back(line);
            }
            std::string answer = api_.call(line, std::string_view(in).substr(0, octets), octets_max);
            in.erase(0, octets);
            if (::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(answer.size()))
                return;
        }
    }

    static constexpr std::uint64_t octets_max = 80 << 20;
    std::unique_ptr<store::Store> store_;
    auth::Directory directory_;
    delivery::Delivery delivery_;
    maildrop::Keeper keeper_;
    auth::Guard guard_{auth::GuardSettings{}, system_now};
    admin::Api api_;
    int listener_ = -1;
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
    std::thread thread_;
};

}  // namespace pier::program
