// One thread's event loop, with what its connections share: a read buffer, write buffers, and a coarse clock
// for deadlines. Connections live and die on their loop and never cross threads.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pier::net {

class Connection;

class EventLoop {
  public:
    EventLoop();
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    boost::asio::io_context& io() { return io_; }

    // Runs until stop(). Deadlines are looked at once a second.
    void run();
    void stop();  // any thread

    // For a read: filled and emptied between two waits, so one serves all connections of the loop.
    std::span<char> read_buffer() { return read_buffer_; }

    // A block for a write that may wait for its peer; given back to a free list. At most one per writing
    // connection.
    class Block {
      public:
        explicit Block(EventLoop& loop);
        ~Block();
        Block(const Block&) = delete;
        Block& operator=(const Block&) = delete;
        std::span<char> span() { return {bytes_->data(), bytes_->size()}; }

      private:
        EventLoop& loop_;
        std::unique_ptr<std::vector<char>> bytes_;
    };

    // When the loop last looked at its deadlines: a loop that hangs stops doing so. Any thread.
    std::chrono::steady_clock::time_point last_sweep() const { return last_sweep_; }

    template <class Function>
    void for_each_connection(Function function) {  // on the loop's thread
        const auto copy = connections_;
        for (Connection* connection : copy)
            function(*connection);
    }

  private:
    friend class Connection;
    void add(Connection& connection);
    void remove(Connection& connection);
    void sweep();

    std::atomic<std::chrono::steady_clock::time_point> last_sweep_ = std::chrono::steady_clock::now();
    std::vector<char> read_buffer_;
    std::vector<std::unique_ptr<std::vector<char>>> free_blocks_;
    std::vector<Connection*> connections_;  // each knows its place
    // Behind what coroutines use: it destroys those that are still waiting when it ends.
    boost::asio::io_context io_{1};
    boost::asio::steady_timer sweeper_{io_};
};

}  // namespace pier::net
