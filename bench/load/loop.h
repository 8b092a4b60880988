// The loop: one epoll, one thread, one coroutine for each connection. Streams are watched edge-triggered, so
// a connection costs one epoll_ctl in its life; what was reported is remembered in the stream.
#pragma once

#include <chrono>
#include <coroutine>
#include <set>
#include <vector>

#include "load/task.h"

namespace load {

using SteadyClock = std::chrono::steady_clock;

// Who waits for a descriptor. Lives longer than the descriptor is watched.
class Watched {
  public:
    virtual ~Watched() = default;
    virtual void on_events(std::uint32_t epoll_events) = 0;
    // Throws Stop when something has been waited for since before `longest_ago`.
    virtual void check_wait(SteadyClock::time_point longest_ago) = 0;
};

class Loop {
  public:
    explicit Loop(double timeout_s);
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    void add(Watched& watched) { watched_.insert(&watched); }
    void remove(Watched& watched) { watched_.erase(&watched); }
    void watch(int descriptor, Watched& watched);  // until it is closed

    void post(std::coroutine_handle<> ready) { ready_.push_back(ready); }  // after the events that wait now

    // Drives all tasks to their ends; throws what the first of them throws that fails.
    void run(std::vector<Task<>>& tasks);

  private:
    void run_ready();
    Task<> noticed(Task<> task);
    void check_waits();

    int epoll_;
    std::chrono::duration<double> timeout_;
    SteadyClock::time_point checked_at_ = SteadyClock::now();
    std::set<Watched*> watched_;
    std::vector<std::coroutine_handle<>> ready_;
    std::size_t ended_ = 0;  // tasks
};

}  // namespace load
