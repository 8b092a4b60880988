#include "load/loop.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <sys/epoll.h>
#include <unistd.h>

#include "load/stop.h"

namespace load {

Loop::Loop(double timeout_s) : epoll_(::epoll_create1(EPOLL_CLOEXEC)), timeout_(timeout_s) {
    if (epoll_ < 0) throw Stop(std::string("no epoll: ") + std::strerror(errno));
}
Loop::~Loop() {
    ::close(epoll_);
}

void Loop::watch(int descriptor, Watched& watched) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = &watched;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) {
        throw Stop(std::string("cannot watch a connection: ") + std::strerror(errno));
    }
}

void Loop::run_ready() {
    while (!ready_.empty()) {
        const auto batch = std::exchange(ready_, {});
        for (const auto handle : batch)
            handle.resume();
    }
}

void Loop::check_waits() {
    const auto now = SteadyClock::now();
    if (now - checked_at_ < std::chrono::seconds(1)) return;
    checked_at_ = now;
    const auto longest_ago = now - std::chrono::duration_cast<SteadyClock::duration>(timeout_);
    for (Watched* watched : watched_)
        watched->check_wait(longest_ago);
}

// Counts the task when it has ended, whatever the way.
Task<> Loop::noticed(Task<> task) {
    struct Notice {
        std::size_t& ended;
        ~Notice() { ++ended; }
    } notice{ended_};
    co_await task;
}

void Loop::run(std::vector<Task<>>& tasks) {
    std::vector<Task<>> running;
    for (auto& task : tasks)
        running.push_back(noticed(std::move(task)));
    for (auto& task : running)
        task.start();
    std::array<epoll_event, 256> events;
    std::size_t seen = 0;
    while (true) {
        run_ready();
        if (seen != ended_) {
            seen = ended_;
            for (auto& task : running) {
                if (task.done()) task.result();
            }
        }
        if (seen == running.size()) return;
        const int wait_ms = ready_.empty() ? 1000 : 0;
        const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms);
        if (count < 0 && errno != EINTR)
            throw Stop(std::string("epoll_wait failed: ") + std::strerror(errno));
        for (int i = 0; i < count; ++i) {
            static_cast<Watched*>(events[static_cast<std::size_t>(i)].data.ptr)
                ->on_events(events[static_cast<std::size_t>(i)].events);
        }
        check_waits();
    }
}

}  // namespace load
