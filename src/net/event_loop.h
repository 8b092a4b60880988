// One thread's event loop on epoll(7), with what its connections share: a read buffer, write buffers, and a
// coarse clock for deadlines. Connections live and die on their loop and never cross threads.
//
// docs/decisions/0013 says why it is not Boost.Asio's.
#pragma once

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include <sys/epoll.h>

namespace pier::net {

class Connection;

class EventLoop {
  public:
    using SteadyTime = std::chrono::steady_clock::time_point;

    // Something with a descriptor. Must be unwatched or forgotten when it goes.
    class Watcher {
      public:
        virtual void on_events(std::uint32_t events) = 0;  // EPOLL…; on the loop's thread

      protected:
        ~Watcher() = default;
    };

    EventLoop();
    ~EventLoop();  // destroys the coroutines that have not ended
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    // Runs until stop(). Deadlines are looked at once a second.
    void run();
    void stop();  // any thread

    // Runs it on the loop's thread, in the loop's next turn. Any thread.
    void post(std::function<void()> work);
    // The same, when deadlines are next looked at: within a second. On the loop's thread.
    void post_at_sweep(std::function<void()> work) { at_sweep_.push_back(std::move(work)); }

    // epoll_ctl(2): begins to watch for `events`, or changes them. `errno` says why it failed.
    bool watch(int fd, std::uint32_t events, Watcher& watcher);
    bool rewatch(int fd, std::uint32_t events, Watcher& watcher);
    void unwatch(int fd, const Watcher& watcher);
    // `watcher`, whose descriptor is about to be closed for good, gets no more events, not even those that
    // have been fetched.
    void forget(const Watcher& watcher);

    // When the present turn began.
    SteadyTime now() const { return now_; }

    // For a read: filled and emptied between two waits, so one serves all connections of the loop.
    std::span<char> read_buffer() { return read_buffer_; }

    // A block for a write that may wait for its peer; given back to a free list. At most one per writing
    // connection.
    class Block {
      public:
        static constexpr std::size_t octets = 16 * 1024;  // one TLS record (RFC 8446 §5.1)
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
    SteadyTime last_sweep() const { return last_sweep_; }

    template <class Function>
    void for_each_connection(Function function) {  // on the loop's thread; must not end one
        for (Connection* connection : connections_)
            function(*connection);
    }

    // A spawned coroutine: it adds itself, and takes itself out when it ends (net/task.h).
    struct Root {
        std::coroutine_handle<> handle;
        std::size_t place = 0;
    };
    void add(Root& root);
    void remove(const Root& root);

  private:
    friend class Connection;
    void add(Connection& connection);
    void remove(Connection& connection);
    void run_posted();
    void wait();
    void sweep();

    std::atomic<SteadyTime> last_sweep_;
    SteadyTime now_;
    std::vector<char> read_buffer_;
    std::vector<std::unique_ptr<std::vector<char>>> free_blocks_;
    std::vector<Connection*> connections_;  // each knows its place, as each root does
    std::vector<Root*> roots_;
    std::vector<std::function<void()>> at_sweep_;

    int epoll_ = -1, wake_up_ = -1;   // wake_up_: an eventfd(2)
    std::span<epoll_event> fetched_;  // not yet handed out

    std::mutex posted_mutex_;
    std::vector<std::function<void()>> posted_;
    std::atomic<bool> stopping_ = false;
    std::atomic<bool> sleeping_ = false;  // in epoll_wait: who posts must wake it up
};

}  // namespace pier::net
