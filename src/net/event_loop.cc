#include "net/event_loop.h"

#include <chrono>
#include <csignal>

#include <boost/asio/executor_work_guard.hpp>

#include "net/connection.h"

namespace pier::net {
namespace {

constexpr std::size_t read_buffer_octets = 64 * 1024;
constexpr std::size_t block_octets = 16 * 1024;  // one TLS record (RFC 8446 §5.1)
constexpr std::size_t free_blocks_max = 64;

}  // namespace

EventLoop::EventLoop() : read_buffer_(read_buffer_octets) {}
EventLoop::~EventLoop() = default;

void EventLoop::run() {
    // OpenSSL writes with write(2): a peer that is gone must be an error of that call, not the end of the
    // process.
    sigset_t pipe;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    const auto guard = boost::asio::make_work_guard(io_);
    sweep();
    io_.run();
}

void EventLoop::stop() {
    io_.stop();
}

void EventLoop::sweep() {
    const auto now = std::chrono::steady_clock::now();
    last_sweep_ = now;
    for_each_connection([&](Connection& connection) {
        if (connection.deadline() <= now) connection.wake(Connection::Woken::deadline);
    });
    sweeper_.expires_after(std::chrono::seconds(1));
    sweeper_.async_wait([this](const boost::system::error_code& error) {
        if (!error) sweep();
    });
}

void EventLoop::add(Connection& connection) {
    connection.place_in_loop_ = connections_.size();
    connections_.push_back(&connection);
}

void EventLoop::remove(Connection& connection) {
    Connection* last = connections_.back();
    connections_[connection.place_in_loop_] = last;
    last->place_in_loop_ = connection.place_in_loop_;
    connections_.pop_back();
}

EventLoop::Block::Block(EventLoop& loop) : loop_(loop) {
    if (loop.free_blocks_.empty()) {
        bytes_ = std::make_unique<std::vector<char>>(block_octets);
    } else {
        bytes_ = std::move(loop.free_blocks_.back());
        loop.free_blocks_.pop_back();
    }
}

EventLoop::Block::~Block() {
    if (loop_.free_blocks_.size() < free_blocks_max) loop_.free_blocks_.push_back(std::move(bytes_));
}

}  // namespace pier::net
