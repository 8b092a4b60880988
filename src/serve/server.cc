#include "serve/server.h"

#include <algorithm>
#include <exception>
#include <new>

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"

namespace pier::serve {
namespace {

constexpr rlim_t descriptors_kept_max = 64;

}  // namespace

using net::Connection;
using net::EventLoop;

namespace {

constexpr std::size_t visitors_max = 100'000;  // addresses that are remembered
constexpr std::chrono::seconds proxy_header_time{10};

}  // namespace

Server::Server(std::size_t threads, const ServerLimits& limits, auth::Guard& guard)
    : limits_(limits), guard_(guard) {
    for (std::size_t i = 0; i < threads; ++i)
        loops_.push_back(std::make_unique<EventLoop>());
}

Server::~Server() {
    stop(std::chrono::seconds(0));
}

void Server::listen(net::ListenSockets sockets, ListenerOptions options) {
    auto listener = std::make_unique<Listener>();
    listener->options = std::move(options);
    listener->sockets = std::move(sockets);
    Listener& stays = *listener;
    for (std::size_t i = 0; i < loops_.size(); ++i) {
        auto on_accept = [this, &stays](EventLoop& loop, int fd, const net::Endpoint& peer) {
            take(stays, loop, fd, peer);
        };
        auto acceptor = std::make_shared<net::Acceptor>(*loops_[i], listener->sockets.fds()[i],
                                                        std::move(on_accept), listener->options.name);
        acceptor->start();
        listener->acceptors.push_back(std::move(acceptor));
    }
    listeners_.push_back(std::move(listener));
}

void Server::start() {
    for (const auto& loop : loops_)
        threads_.emplace_back([&loop = *loop] { loop.run(); });
}

std::vector<std::pair<std::string, net::Endpoint>> Server::listeners() const {
    std::vector<std::pair<std::string, net::Endpoint>> all;
    for (const auto& listener : listeners_)
        all.emplace_back(listener->options.name, listener->sockets.local());
    return all;
}

void Server::drain(std::chrono::seconds notice) {
    refuses_from_ = std::chrono::steady_clock::now() + notice;
}

std::size_t Server::connections_to_drain() const {
    std::size_t all = 0;
    for (const auto& listener : listeners_)
        if (listener->options.drains) all += listener->connections;
    return all;
}

bool Server::refuses_new(const Listener& listener, EventLoop::SteadyTime now) const {
    return listener.options.drains && now >= refuses_from_.load();
}

bool Server::responsive(std::chrono::seconds limit) const {
    const auto oldest = std::chrono::steady_clock::now() - limit;
    return std::all_of(loops_.begin(), loops_.end(),
                       [&](const auto& loop) { return loop->last_sweep() >= oldest; });
}

std::string_view Server::admit_one_more(Listener& listener) {
    if (connections_.fetch_add(1) < limits_.connections_max) {
        ++listener.connections;
        return {};
    }
    --connections_;
    ++refused_in_all_;
    return "too many connections";
}

std::string_view Server::admit(const net::Endpoint& peer, EventLoop::SteadyTime now) {
    if (peer.is_loopback()) return {};
    std::lock_guard lock(per_address_mutex_);
    if (per_address_.size() >= visitors_max) forget_visitors(now);
    const auto most = static_cast<double>(limits_.new_per_address_per_minute_max);
    const auto [at, made] = per_address_.try_emplace(net::network_of(peer), Visitor{0, most, now});
    Visitor& visitor = at->second;
    const double minutes = std::chrono::duration<double, std::ratio<60>>(now - visitor.at).count();
    visitor.may_begin = std::min(most, visitor.may_begin + minutes * most);
    visitor.at = now;
    if (visitor.connections >= limits_.connections_per_address_max) {
        ++refused_per_address_;
        return "too many connections from this address";
    }
    if (most > 0 && visitor.may_begin < 1) {
        ++refused_by_rate_;
        return "too many new connections from this address";
    }
    visitor.may_begin -= 1;
    ++visitor.connections;
    return {};
}

// Attack: a connection from each of a million addresses would leave as many entries.
void Server::forget_visitors(EventLoop::SteadyTime now) {
    std::erase_if(per_address_, [&](const auto& entry) {
        return entry.second.connections == 0 && now - entry.second.at >= std::chrono::minutes(1);
    });
    if (per_address_.size() >= visitors_max)
        std::erase_if(per_address_, [](const auto& entry) { return entry.second.connections == 0; });
}

void Server::leave(Listener& listener, const std::optional<net::Endpoint>& counted) {
    --listener.connections;
    --connections_;
    if (!counted || counted->is_loopback()) return;
    std::lock_guard lock(per_address_mutex_);
    const auto at = per_address_.find(net::network_of(*counted));
    // Kept for a while: how many it may begin is to be known when it comes again.
    --at->second.connections;
}

// Before anything is spent on it: no line of text, no TLS.
bool Server::may_come(const Listener& listener, const net::Endpoint& peer) {
    if (peer.is_unix()) return true;
    if (listener.options.access.admits(peer.address)) return !guard_.blocks(peer.address);
    log_refusal(listener, peer, "the listener's networks do not include this address");
    return false;
}

void Server::log_refusal(const Listener& listener, const net::Endpoint& peer, std::string_view why) {
    log::warning("connection.refused",
                 {{"listener", listener.options.name}, {"peer", peer.text()}, {"reason", why}});
}

// Descriptors are given out from the lowest on: a high one says that nearly all are in use. The last ones are
// for the store's files, without which nobody's mail can be read or taken.
std::string_view Server::short_of(int fd) {
    if (memory::is_short()) return "memory is short";
    rlimit limit{};
    const bool known = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    const auto kept = std::min(descriptors_kept_max, limit.rlim_cur / 4);
    const bool is_short = known && static_cast<rlim_t>(fd) + kept >= limit.rlim_cur;
    if (descriptors_short_.exchange(is_short) != is_short && is_short)
        log::error(
            "descriptors.short",
            {{"limit", limit.rlim_cur},
             {"hint", "new sessions are turned away: raise LimitNOFILE or lower limits.connections_max"}});
    return is_short ? "descriptors are short" : "";
}

void Server::take(Listener& listener, EventLoop& loop, int fd, const net::Endpoint& peer) {
    ++accepted_;
    const bool proxied = !peer.is_unix() && contains(listener.options.proxies, peer.address);
    const bool introducer = !peer.is_unix() && contains(listener.options.introducers, peer.address);
    const bool for_others = proxied || introducer;
    if (!for_others && !may_come(listener, peer)) {
        ::close(fd);
        return;
    }
    bool entered = false;
    std::optional<net::Endpoint> counted;
    try {
        std::string_view why = refuses_new(listener, loop.now()) ? "draining" : short_of(fd);
        if (why.empty()) {
            why = admit_one_more(listener);
            entered = why.empty();
        }
        if (entered && !for_others) {
            why = admit(peer, loop.now());
            if (why.empty()) counted = peer;
        }
        if (why.empty()) return net::spawn(loop, serve(listener, loop, fd, peer, counted, proxied));
        log_refusal(listener, peer, why);
    } catch (const std::bad_alloc&) {
        // The session could not even begin: its client is told what the others are told.
    }
    if (entered) leave(listener, counted);
    const std::string& text = listener.options.busy_text;
    if (!text.empty()) [[maybe_unused]]
        const auto sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    ::close(fd);
}

net::Task<void> Server::serve(Listener& listener, EventLoop& loop, int fd, net::Endpoint peer,
                              std::optional<net::Endpoint> counted, bool proxied) {
    try {
        Connection connection(loop, fd, peer, listener.sockets.local());
        bool let_in = true;
        if (proxied) {
            let_in = co_await meet_client(listener, connection, counted);
        }
        if (let_in) {
            co_await listener.options.protocol(connection);
        }
    } catch (const std::bad_alloc&) {
        log::error("session.memory", {{"listener", listener.options.name},
                                      {"hint", "no memory: this session alone has ended"}});
    } catch (const std::exception& bug) {
        // One session's fault must not take the others down; it is ours all the same, so it is said
        // loudly.
        log::error("session.bug",
                   {{"listener", listener.options.name}, {"peer", peer.text()}, {"what", bug.what()}});
    }
    leave(listener, counted);
}

// A proxy says who its client is, who is then looked at as if he had come himself. A proxy that speaks for
// itself, to see whether we are well, is served too.
net::Task<bool> Server::meet_client(const Listener& listener, Connection& connection,
                                    std::optional<net::Endpoint>& counted) {
    const net::Endpoint proxy = connection.peer();
    connection.set_deadline(proxy_header_time);
    const auto told = co_await connection.read_proxy_header();
    if (!told) {
        // One that only looks whether the port is open says nothing.
        const bool odd = told.error().kind == ErrorKind::invalid || told.error().kind == ErrorKind::busy;
        if (odd)
            log::warning("proxy.failed", {{"listener", listener.options.name},
                                          {"proxy", proxy.text()},
                                          {"reason", told.error().text},
                                          {"hint", "the listener's proxies have to send the PROXY header"}});
        co_return false;
    }
    const net::Endpoint& client = connection.peer();
    if (client.text() == proxy.text()) {
        if (!draining()) co_return true;
        [[maybe_unused]] const auto sent = co_await connection.write(listener.options.busy_text);
        co_return false;
    }
    if (!may_come(listener, client)) co_return false;
    const std::string_view why = admit(client, connection.loop().now());
    if (why.empty()) {
        counted = client;
        co_return true;
    }
    log_refusal(listener, client, why);
    [[maybe_unused]] const auto sent = co_await connection.write(listener.options.busy_text);
    co_return false;
}

void Server::wake_all(Connection::Woken why, bool also_worth_finishing) {
    for (const auto& loop : loops_) {
        loop->post([&loop = *loop, why, also_worth_finishing] {
            loop.for_each_connection([&](Connection& connection) {
                if (also_worth_finishing || !connection.worth_finishing()) connection.wake(why);
            });
        });
    }
}

bool Server::wait_until_empty(std::chrono::milliseconds limit, const std::function<bool()>& hurry) const {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (connections_ > 0 && std::chrono::steady_clock::now() < end && !hurry())
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return connections_ == 0;
}

void Server::stop(std::chrono::seconds grace, const std::function<bool()>& hurry) {
    constexpr std::chrono::seconds goodbye{2};
    const auto never = [] { return false; };
    for (const auto& listener : listeners_)
        for (std::size_t i = 0; i < loops_.size(); ++i)
            loops_[i]->post([acceptor = listener->acceptors[i]] { acceptor->stop(); });
    if (!threads_.empty()) {
        wake_all(Connection::Woken::shutdown, false);
        if (!wait_until_empty(grace, hurry)) {
            wake_all(Connection::Woken::shutdown, true);
            if (!wait_until_empty(goodbye, never)) {
                wake_all(Connection::Woken::deadline, true);
                wait_until_empty(goodbye, never);
            }
        }
    }
    for (const auto& loop : loops_)
        loop->stop();
    for (auto& thread : threads_)
        thread.join();
    threads_.clear();
    listeners_.clear();
}

}  // namespace pier::serve
