// The server: event loops, one thread each, and the listeners on them. A protocol is a function that serves
// one connection; the server counts connections, refuses those over the limits, and stops in order:
//   no new connections; sessions with nothing to finish end; the others get shutdown_grace; then all end.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "auth/guard.h"
#include "base/network.h"
#include "net/connection.h"
#include "net/listener.h"

namespace pier::serve {

// Serves one connection to its end. The connection lives until the coroutine is over.
using Protocol = std::function<net::Task<void>(net::Connection& connection)>;

struct ListenerOptions {
    std::string name;  // in logs
    Protocol protocol;
    AccessList access{};     // who may connect; others are closed at once
    Networks proxies{};      // who tells with the PROXY protocol for whom it connects
    Networks introducers{};  // who does so in the protocol's own words (XCLIENT); its driver looks at them
    std::string busy_text;  // what a client over the limits is told before the connection ends: "-ERR …\r\n";
                            // may be empty
    // false: the administrator's own, served also while the server drains and when it is full
    // (administrator_connections).
    bool drains = true;
};

// Why a connection is turned away.
enum class Refusal {
    network,      // the listener's networks do not include it
    blocked,      // by the guard
    draining,     // the server takes nobody new
    memory,       // the process is short of it
    descriptors,  // the same
    in_all,       // ServerLimits: connections_max
    per_address,  // connections_per_address_max
    rate,         // new_per_address_per_minute_max
    proxy,        // a proxy that has not said for whom it comes
};
inline constexpr std::array<std::string_view, 9> refusal_names{
    "network", "blocked", "draining", "memory", "descriptors", "in_all", "per_address", "rate", "proxy"};

// What a listener has seen; of those since the start, except `open`.
struct ListenerCounts {
    std::string name;
    std::size_t open = 0;
    std::uint64_t accepted = 0;
    std::array<std::uint64_t, refusal_names.size()> refused{};  // by Refusal
    std::uint64_t octets_in = 0, octets_out = 0;  // of connections that have ended, without TLS's own
};

// So many more than ServerLimits::connections_max are taken of listeners that do not drain: who floods the
// mail ports must not keep the administrator from seeing it.
inline constexpr std::size_t administrator_connections = 16;

struct ServerLimits {
    std::size_t connections_max = 10'000;
    std::size_t connections_per_address_max =
        100;  // by net::network_of; loopback and Unix sockets are not counted
    std::size_t new_per_address_per_minute_max = 1000;  // the same; 0: no limit
};

class Server {
  public:
    // `guard` outlives it.
    Server(std::size_t threads, const ServerLimits& limits, auth::Guard& guard);
    ~Server();  // as stop(0)

    std::size_t threads() const { return loops_.size(); }

    // Before start(); outlives the server. By it a connection knows that it is our own look at ourselves.
    void use_own_visits(const net::OwnVisits* visits) { own_visits_ = visits; }
    // Before start(). The sockets are one per thread.
    void listen(net::ListenSockets sockets, ListenerOptions options);
    void start();

    // Ends everything, as above; returns when all threads have ended. `hurry` may become true meanwhile: then
    // no grace.
    void stop(
        std::chrono::seconds grace, const std::function<bool()>& hurry = [] { return false; });

    // Draining: so that this node can be stopped without anybody seeing an error. At once a proxy that asks
    // for itself (a health check) is turned away, and after `notice`, in which those in front may find out,
    // everybody. Sessions that are there go on. resume() ends it. Any thread.
    void drain(std::chrono::seconds notice);
    void resume() { refuses_from_ = not_yet; }
    bool draining() const { return refuses_from_.load() != not_yet; }
    // What draining waits for.
    std::size_t connections_to_drain() const;

    // Why a connection of that address to the listener of that name, which is there, would be turned away
    // now; absent: it would be served. Nothing is counted or logged. Any thread.
    std::optional<Refusal> would_refuse(std::string_view listener, const net::Endpoint& peer);

    // All loops have been round within `limit`: for a watchdog.
    bool responsive(std::chrono::seconds limit) const;

    std::size_t connections() const { return connections_; }
    std::uint64_t accepted() const { return accepted_; }
    // How often a limit has turned somebody away.
    std::uint64_t refused_in_all() const { return refused_in_all_; }
    std::uint64_t refused_per_address() const { return refused_per_address_; }
    std::uint64_t refused_by_rate() const { return refused_by_rate_; }
    std::vector<std::pair<std::string, net::Endpoint>> listeners() const;  // name, address
    // One for each socket: a listener on "*" has two.
    std::vector<ListenerCounts> counts() const;

  private:
    struct Listener {
        ListenerOptions options;
        net::ListenSockets sockets;
        std::vector<std::shared_ptr<net::Acceptor>> acceptors;
        std::atomic<std::size_t> connections = 0;
        std::atomic<std::uint64_t> accepted = 0, octets_in = 0, octets_out = 0;
        std::array<std::atomic<std::uint64_t>, refusal_names.size()> refused{};
    };
    using MaybeRefusal = std::optional<Refusal>;

    void take(Listener& listener, net::EventLoop& loop, int fd, const net::Endpoint& peer);
    // `counted`: who has been let in by admit(); absent for a proxy, which has not said yet for whom it
    // comes.
    net::Task<void> serve(Listener& listener, net::EventLoop& loop, int fd, net::Endpoint peer,
                          std::optional<net::Endpoint> counted, bool proxied);
    net::Task<bool> meet_client(Listener& listener, net::Connection& connection,
                                std::optional<net::Endpoint>& counted);
    bool may_come(Listener& listener, const net::Endpoint& peer);
    // Why it may not, of one connection more and of its address; absent: it may, and is counted until
    // leave().
    MaybeRefusal admit_one_more(Listener& listener);
    std::size_t connections_max_of(const Listener& listener) const;
    MaybeRefusal admit(const net::Endpoint& peer, net::EventLoop::SteadyTime now);
    void leave(Listener& listener, const std::optional<net::Endpoint>& counted);
    void note_refusal(Listener& listener, const net::Endpoint& peer, Refusal why);
    bool refuses_new(const Listener& listener, net::EventLoop::SteadyTime now) const;
    // What the process has too little of for another session, whose descriptor is `fd`; absent: nothing.
    static MaybeRefusal short_of(int fd);
    void say_descriptors_short(net::EventLoop::SteadyTime now);
    void wake_all(net::Connection::Woken why, bool also_worth_finishing);
    bool wait_until_empty(std::chrono::milliseconds limit, const std::function<bool()>& hurry) const;

    // Of one address: its connections, and how many more may begin now.
    struct Visitor {
        std::size_t connections = 0;
        double may_begin = 0;
        net::EventLoop::SteadyTime at{};
    };
    void forget_visitors(net::EventLoop::SteadyTime now);
    // What it may begin by now.
    double may_begin(const Visitor& visitor, net::EventLoop::SteadyTime now) const;
    MaybeRefusal refusal_of(const Visitor& visitor) const;

    const ServerLimits limits_;
    auth::Guard& guard_;
    const net::OwnVisits* own_visits_ = nullptr;
    std::vector<std::unique_ptr<net::EventLoop>> loops_;
    std::vector<std::thread> threads_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::atomic<std::size_t> connections_ = 0;
    std::atomic<std::uint64_t> accepted_ = 0, refused_in_all_ = 0, refused_per_address_ = 0,
                               refused_by_rate_ = 0;
    static constexpr auto not_yet = net::EventLoop::SteadyTime::max();
    static constexpr auto never_said = net::EventLoop::SteadyTime::min();
    std::atomic<net::EventLoop::SteadyTime> descriptors_short_said_ = never_said;
    std::atomic<net::EventLoop::SteadyTime> refuses_from_ = not_yet;
    std::mutex per_address_mutex_;
    std::unordered_map<std::string, Visitor> per_address_;
};

}  // namespace pier::serve
