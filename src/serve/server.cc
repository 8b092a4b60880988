#include "serve/server.h"

#include <algorithm>
#include <exception>
#include <new>

#include <fcntl.h>
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

// As the log has it.
constexpr std::string_view text_of(Refusal why) {
    switch (why) {
        case Refusal::network:
            return "the listener's networks do not include this address";
        case Refusal::blocked:
            return "blocked by the guard";
        case Refusal::draining:
            return "draining";
        case Refusal::memory:
            return "memory is short";
        case Refusal::descriptors:
            return "descriptors are short";
        case Refusal::in_all:
            return "too many connections";
        case Refusal::per_address:
            return "too many connections from this address";
        case Refusal::rate:
            return "too many new connections from this address";
        case Refusal::proxy:
            return "the proxy has not said for whom it comes";
    }
    return "unknown";
}

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

std::vector<ListenerCounts> Server::counts() const {
    std::vector<ListenerCounts> all;
    for (const auto& listener : listeners_) {
        ListenerCounts& one = all.emplace_back(
            ListenerCounts{listener->options.name, listener->connections, listener->accepted});
        std::copy(listener->refused.begin(), listener->refused.end(), one.refused.begin());
        one.octets_in = listener->octets_in;
        one.octets_out = listener->octets_out;
    }
    return all;
}

std::size_t Server::connections_max_of(const Listener& listener) const {
    return limits_.connections_max + (listener.options.drains ? 0 : administrator_connections);
}

Server::MaybeRefusal Server::admit_one_more(Listener& listener) {
    if (connections_.fetch_add(1) < connections_max_of(listener)) {
        ++listener.connections;
        return {};
    }
    --connections_;
    ++refused_in_all_;
    return Refusal::in_all;
}

double Server::may_begin(const Visitor& visitor, EventLoop::SteadyTime now) const {
    const auto most = static_cast<double>(limits_.new_per_address_per_minute_max);
    const double minutes = std::chrono::duration<double, std::ratio<60>>(now - visitor.at).count();
    return std::min(most, visitor.may_begin + minutes * most);
}

Server::MaybeRefusal Server::refusal_of(const Visitor& visitor) const {
    if (visitor.connections >= limits_.connections_per_address_max) return Refusal::per_address;
    if (limits_.new_per_address_per_minute_max > 0 && visitor.may_begin < 1) return Refusal::rate;
    return {};
}

Server::MaybeRefusal Server::admit(const net::Endpoint& peer, EventLoop::SteadyTime now) {
    if (peer.is_loopback()) return {};
    std::lock_guard lock(per_address_mutex_);
    if (per_address_.size() >= visitors_max) forget_visitors(now);
    const auto most = static_cast<double>(limits_.new_per_address_per_minute_max);
    const auto [at, made] = per_address_.try_emplace(net::network_of(peer), Visitor{0, most, now});
    Visitor& visitor = at->second;
    visitor.may_begin = may_begin(visitor, now);
    visitor.at = now;
    if (const MaybeRefusal why = refusal_of(visitor)) {
        ++(*why == Refusal::rate ? refused_by_rate_ : refused_per_address_);
        return why;
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
bool Server::may_come(Listener& listener, const net::Endpoint& peer) {
    if (peer.is_unix()) return true;
    if (!listener.options.access.admits(peer.address)) {
        note_refusal(listener, peer, Refusal::network);
        return false;
    }
    if (!guard_.blocks(peer.address)) return true;
    // The guard has logged its block: a line for each of an attacker's connections would be too much.
    ++listener.refused[static_cast<std::size_t>(Refusal::blocked)];
    return false;
}

void Server::note_refusal(Listener& listener, const net::Endpoint& peer, Refusal why) {
    ++listener.refused[static_cast<std::size_t>(why)];
    log::warning("connection.refused",
                 {{"listener", listener.options.name}, {"peer", peer.text()}, {"reason", text_of(why)}});
}

// Descriptors are given out from the lowest on: a high one says that nearly all are in use. The last ones are
// for the store's files, without which nobody's mail can be read or taken.
Server::MaybeRefusal Server::short_of(int fd) {
    if (memory::is_short()) return Refusal::memory;
    rlimit limit{};
    const bool known = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    const auto kept = std::min(descriptors_kept_max, limit.rlim_cur / 4);
    const bool is_short = known && static_cast<rlim_t>(fd) + kept >= limit.rlim_cur;
    return is_short ? MaybeRefusal(Refusal::descriptors) : MaybeRefusal();
}

// Once a minute: a file that the store closes lets one more in, and the shortage is over and back within a
// millisecond.
void Server::say_descriptors_short(EventLoop::SteadyTime now) {
    auto said = descriptors_short_said_.load();
    const bool long_ago = said == never_said || now - said >= std::chrono::minutes(1);
    if (!long_ago || !descriptors_short_said_.compare_exchange_strong(said, now)) return;
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    log::error("descriptors.short",
               {{"limit", limit.rlim_cur},
                {"hint", "new sessions are turned away: raise LimitNOFILE or lower limits.connections_max"}});
}

// In the order of may_come() and take().
Server::MaybeRefusal Server::would_refuse(std::string_view name, const net::Endpoint& peer) {
    const auto at =
        std::ranges::find_if(listeners_, [&](const auto& one) { return one->options.name == name; });
    if (at == listeners_.end()) return {};
    const Listener& listener = **at;
    const auto now = std::chrono::steady_clock::now();
    if (!listener.options.access.admits(peer.address)) return Refusal::network;
    if (!guard_.explain(peer.address).connects) return Refusal::blocked;
    if (refuses_new(listener, now)) return Refusal::draining;
    // The lowest that is free is what a connection would get.
    const int lowest = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    if (lowest < 0) return Refusal::descriptors;
    ::close(lowest);
    if (const MaybeRefusal why = short_of(lowest)) return why;
    if (connections_ >= connections_max_of(listener)) return Refusal::in_all;
    if (peer.is_loopback()) return {};
    const std::lock_guard lock(per_address_mutex_);
    const auto known = per_address_.find(net::network_of(peer));
    if (known == per_address_.end()) return {};
    Visitor visitor = known->second;
    visitor.may_begin = may_begin(visitor, now);
    return refusal_of(visitor);
}

void Server::take(Listener& listener, EventLoop& loop, int fd, const net::Endpoint& peer) {
    ++accepted_;
    ++listener.accepted;
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
        MaybeRefusal why = refuses_new(listener, loop.now()) ? Refusal::draining : short_of(fd);
        if (why == Refusal::descriptors) say_descriptors_short(loop.now());
        if (!why) {
            why = admit_one_more(listener);
            entered = !why;
        }
        if (entered && !for_others) {
            why = admit(peer, loop.now());
            if (!why) counted = peer;
        }
        if (!why) return net::spawn(loop, serve(listener, loop, fd, peer, counted, proxied));
        note_refusal(listener, peer, *why);
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
        connection.use_own_visits(own_visits_);
        bool let_in = true;
        if (proxied) {
            let_in = co_await meet_client(listener, connection, counted);
        }
        if (let_in) {
            co_await listener.options.protocol(connection);
        }
        listener.octets_in += connection.octets_in();
        listener.octets_out += connection.octets_out();
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
net::Task<bool> Server::meet_client(Listener& listener, Connection& connection,
                                    std::optional<net::Endpoint>& counted) {
    const net::Endpoint proxy = connection.peer();
    connection.set_deadline(proxy_header_time);
    const auto told = co_await connection.read_proxy_header();
    if (!told) {
        // One that only looks whether the port is open says nothing.
        const bool odd = told.error().kind == ErrorKind::invalid || told.error().kind == ErrorKind::busy;
        if (odd) {
            ++listener.refused[static_cast<std::size_t>(Refusal::proxy)];
            log::warning("proxy.failed", {{"listener", listener.options.name},
                                          {"proxy", proxy.text()},
                                          {"reason", told.error().text},
                                          {"hint", "the listener's proxies have to send the PROXY header"}});
        }
        co_return false;
    }
    const net::Endpoint& client = connection.peer();
    if (client.text() == proxy.text()) {
        if (!draining()) co_return true;
        [[maybe_unused]] const auto sent = co_await connection.write(listener.options.busy_text);
        co_return false;
    }
    if (!may_come(listener, client)) co_return false;
    const MaybeRefusal why = admit(client, connection.loop().now());
    if (!why) {
        counted = client;
        co_return true;
    }
    note_refusal(listener, client, *why);
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
