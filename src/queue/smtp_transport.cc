#include "queue/smtp_transport.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/whole_file.h"
#include "net/https.h"
#include "queue/lane_run.h"

namespace pier::queue {
namespace {

constexpr std::size_t password_octets_max = 4096;

// Waits for the resolver, but not longer than the transport lives.
class ResolverLookups final : public Lookups {
  public:
    ResolverLookups(dns::Resolver& resolver, const std::atomic<bool>& stopping)
        : resolver_(resolver), stopping_(stopping) {}

    dns::Answer ask(const std::string& name, dns::Type type) override {
        struct Waiting {
            std::mutex mutex;
            std::condition_variable come;
            std::optional<dns::Answer> answer;
        };
        const auto waiting = std::make_shared<Waiting>();
        resolver_.ask(name, type, [waiting](dns::Answer answer) {
            const std::lock_guard lock(waiting->mutex);
            waiting->answer = std::move(answer);
            waiting->come.notify_one();
        });
        std::unique_lock lock(waiting->mutex);
        while (!waiting->answer && !stopping_)
            waiting->come.wait_for(lock, std::chrono::milliseconds(100));
        if (waiting->answer) return std::move(*waiting->answer);
        dns::Answer none;
        none.why = "the server is stopping";
        return none;
    }

  private:
    dns::Resolver& resolver_;
    const std::atomic<bool>& stopping_;
};

// The addresses of this machine's interfaces.
std::vector<IpAddress> interface_addresses() {
    std::vector<IpAddress> found;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return found;
    for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
        if (each->ifa_addr == nullptr) continue;
        if (each->ifa_addr->sa_family == AF_INET) {
            const auto* four = reinterpret_cast<const sockaddr_in*>(each->ifa_addr);
            found.emplace_back(boost::asio::ip::address_v4(ntohl(four->sin_addr.s_addr)));
        } else if (each->ifa_addr->sa_family == AF_INET6) {
            const auto* six = reinterpret_cast<const sockaddr_in6*>(each->ifa_addr);
            boost::asio::ip::address_v6::bytes_type bytes;
            std::copy(std::begin(six->sin6_addr.s6_addr), std::end(six->sin6_addr.s6_addr), bytes.begin());
            found.emplace_back(boost::asio::ip::address_v6(bytes));
        }
    }
    ::freeifaddrs(list);
    return found;
}

// Where a connection to `port` would reach ourselves.
Networks own_networks(const std::vector<net::Endpoint>& listeners, std::uint16_t port) {
    Networks own;
    const auto add = [&own](const std::string& text) {
        if (auto network = Network::parse(text)) own.push_back(*network);
    };
    for (const net::Endpoint& listener : listeners) {
        if (listener.is_unix() || listener.port != port) continue;
        if (!listener.address.is_unspecified()) {
            add(listener.address.to_string());
            continue;
        }
        add("127.0.0.0/8");
        add("::1");
        for (const IpAddress& address : interface_addresses())
            add(address.to_string());
    }
    return own;
}

Result<std::optional<smtp::Client::Login>> login_of(const std::optional<Smarthost>& smarthost) {
    if (!smarthost || smarthost->user.empty()) return std::optional<smtp::Client::Login>();
    auto text = read_whole_file(smarthost->password_file, password_octets_max);
    if (!text) return text.error();
    smtp::Client::Login login{smarthost->user, text->substr(0, text->find_first_of("\r\n"))};
    OPENSSL_cleanse(text->data(), text->size());
    if (login.password.empty())
        return Error(
            ErrorKind::invalid,
            fmt::format("{} is empty; its first line is the smarthost's password", smarthost->password_file));
    return std::optional(std::move(login));
}

class PooledTransport final : public Transport {
  public:
    PooledTransport(TransportSettings settings, dns::Resolver& resolver, ClientTls tls,
                    std::optional<smtp::Client::Login> login, int stop_fd, const Clock& clock)
        : settings_(std::move(settings)),
          route_{settings_.hostname,
                 own_networks(settings_.listeners,
                              settings_.smarthost ? settings_.smarthost->port : settings_.smtp_port)},
          tls_(std::move(tls)),
          login_(std::move(login)),
          stop_fd_(stop_fd),
          lookups_(resolver, stopping_),
          sts_(
              settings_.sts_domains_max,
              [this](const std::string& domain, const std::vector<IpAddress>& addresses) {
                  return fetch_policy(domain, addresses);
              },
              clock),
          around_{settings_,
                  route_,
                  {settings_, tls_.get(), stop_fd_, login_},
                  lookups_,
                  settings_.mta_sts ? &sts_ : nullptr,
                  random_choice(),
                  stopping_} {}

    ~PooledTransport() override {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        ::eventfd_write(stop_fd_, 1);
        changed_.notify_all();
        for (std::thread& thread : threads_)
            thread.join();
        for (const Waiting& each : waiting_)
            each.lane->closed();
        ::close(stop_fd_);
        if (login_) OPENSSL_cleanse(login_->password.data(), login_->password.size());
    }

    void open(const std::string& destination, std::shared_ptr<Lane> lane) override {
        const std::lock_guard lock(mutex_);
        waiting_.push_back({destination, std::move(lane)});
        if (idle_ < waiting_.size() && threads_.size() < std::max<std::size_t>(settings_.connections_max, 1))
            threads_.emplace_back([this] { run(); });
        changed_.notify_one();
    }

  private:
    struct Waiting {
        std::string destination;
        std::shared_ptr<Lane> lane;
    };

    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            ++idle_;
            changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
            --idle_;
            if (stopping_) return;
            const Waiting next = std::move(waiting_.front());
            waiting_.pop_front();
            lock.unlock();
            LaneRun(around_, next.destination, *next.lane).run();
            next.lane->closed();
            lock.lock();
        }
    }

    Result<std::string> fetch_policy(const std::string& domain, const std::vector<IpAddress>& addresses) {
        net::HttpsRequest request;
        request.url =
            fmt::format("https://mta-sts.{}{}/.well-known/mta-sts.txt", domain,
                        settings_.https_port == 443 ? "" : fmt::format(":{}", settings_.https_port));
        request.addresses = addresses;
        request.authorities = SSL_CTX_get_cert_store(tls_.get());
        request.ended = &stopping_;
        request.time_max = settings_.times.sts_policy;
        request.octets_max = sts_policy_octets_max;
        auto reply = net::https_call(request);
        if (!reply) return reply.error();
        // RFC 8461 §3.3: nothing but 200, no redirection.
        if (reply->status != 200)
            return Error(ErrorKind::io, fmt::format("{} is answered by {}", request.url, reply->status));
        return std::move(reply->body);
    }

    const TransportSettings settings_;
    const RouteSettings route_;
    const ClientTls tls_;
    std::optional<smtp::Client::Login> login_;
    const int stop_fd_;
    std::atomic<bool> stopping_ = false;
    ResolverLookups lookups_;
    StsPolicies sts_;
    const LaneSurroundings around_;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Waiting> waiting_;
    std::size_t idle_ = 0;  // threads that wait for a lane
    std::vector<std::thread> threads_;
};

}  // namespace

Result<std::unique_ptr<Transport>> SmtpTransport::make(TransportSettings settings, dns::Resolver& resolver,
                                                       Clock clock) {
    auto tls = make_client_tls(settings.ca_file);
    if (!tls) return tls.error();
    auto login = login_of(settings.smarthost);
    if (!login) return login.error();
    const int stop_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_fd < 0) return errno_error(errno, "make an event for outgoing connections");
    return std::unique_ptr<Transport>(std::make_unique<PooledTransport>(
        std::move(settings), resolver, std::move(*tls), std::move(*login), stop_fd, clock));
}

}  // namespace pier::queue
