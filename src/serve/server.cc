#include "serve/server.h"

#include <algorithm>
#include <exception>

#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

namespace pier::serve {

using net::Connection;
using net::EventLoop;

Server::Server(std::size_t threads, const ServerLimits& limits) : limits_(limits) {
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
    const Listener& stays = *listener;
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

bool Server::responsive(std::chrono::seconds limit) const {
    const auto oldest = std::chrono::steady_clock::now() - limit;
    return std::all_of(loops_.begin(), loops_.end(),
                       [&](const auto& loop) { return loop->last_sweep() >= oldest; });
}

bool Server::admit(const net::Endpoint& peer) {
    if (connections_.fetch_add(1) >= limits_.connections_max) {
        --connections_;
        ++refused_in_all_;
        return false;
    }
    if (peer.is_loopback()) return true;
    std::lock_guard lock(per_address_mutex_);
    std::size_t& count = per_address_[net::network_of(peer)];
    if (count >= limits_.connections_per_address_max) {
        --connections_;
        ++refused_per_address_;
        return false;
    }
    ++count;
    return true;
}

void Server::leave(const net::Endpoint& peer) {
    --connections_;
    if (peer.is_loopback()) return;
    std::lock_guard lock(per_address_mutex_);
    const auto at = per_address_.find(net::network_of(peer));
    if (--at->second == 0) per_address_.erase(at);
}

void Server::take(const Listener& listener, EventLoop& loop, int fd, const net::Endpoint& peer) {
    ++accepted_;
    if (!admit(peer)) {
        log::warning(
            "connection.refused",
            {{"listener", listener.options.name}, {"peer", peer.text()}, {"reason", "too many connections"}});
        const std::string& text = listener.options.busy_text;
        if (!text.empty()) [[maybe_unused]]
            const auto sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
        ::close(fd);
        return;
    }
    net::spawn(loop, serve(listener, loop, fd, peer));
}

net::Task<void> Server::serve(const Listener& listener, EventLoop& loop, int fd, net::Endpoint peer) {
    {
        Connection connection(loop, fd, peer, listener.sockets.local());
        try {
            co_await listener.options.protocol(connection);
        } catch (const std::exception& bug) {
            // One session's fault must not take the others down; it is ours all the same, so it is said
            // loudly.
            log::error("session.bug",
                       {{"listener", listener.options.name}, {"peer", peer.text()}, {"what", bug.what()}});
        }
    }
    leave(peer);
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
