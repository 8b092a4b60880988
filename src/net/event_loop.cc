#include "net/event_loop.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

#include <sys/eventfd.h>
#include <unistd.h>

#include "net/connection.h"
#include "net/task.h"

namespace pier::net {
namespace {

constexpr std::size_t read_buffer_octets = 64 * 1024;
constexpr std::size_t free_blocks_max = 64;
constexpr std::size_t events_at_once = 128;
constexpr std::chrono::seconds sweep_interval{1};

int checked(int fd, const char* what) {
    if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
    return fd;
}

// What spawn() runs: it ends with the task, and its frame is the loop's as long as it has not.
struct Spawned {
    struct promise_type : EventLoop::Root {
        promise_type(EventLoop& on, Task<void>&) : loop(on) {
            handle = std::coroutine_handle<promise_type>::from_promise(*this);
            loop.add(*this);
        }
        ~promise_type() { loop.remove(*this); }
        Spawned get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::terminate(); }
        EventLoop& loop;
    };
};

Spawned run_spawned(EventLoop&, Task<void> task) {
    co_await std::move(task);
}

}  // namespace

void spawn(EventLoop& loop, Task<void> task) {
    run_spawned(loop, std::move(task));
}

EventLoop::EventLoop()
    : last_sweep_(std::chrono::steady_clock::now()),
      now_(last_sweep_),
      read_buffer_(read_buffer_octets),
      epoll_(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      wake_up_(checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {
    // Edge-triggered: a written eventfd wakes the loop once, and nobody has to read it.
    epoll_event event{EPOLLIN | EPOLLET, {nullptr}};
    checked(::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_up_, &event), "epoll_ctl");
}

EventLoop::~EventLoop() {
    while (!roots_.empty())
        roots_.back()->handle.destroy();
    ::close(wake_up_);
    ::close(epoll_);
}

void EventLoop::run() {
    // OpenSSL writes with write(2), and sendfile(2) knows no MSG_NOSIGNAL: a peer that is gone must be an
    // error of that call, not the end of the process.
    sigset_t pipe;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    now_ = std::chrono::steady_clock::now();
    sweep();
    while (!stopping_) {
        run_posted();
        wait();
        if (now_ >= last_sweep_.load() + sweep_interval) sweep();
    }
}

void EventLoop::stop() {
    stopping_ = true;
    post([] {});
}

void EventLoop::post(std::function<void()> work) {
    {
        std::lock_guard lock(posted_mutex_);
        posted_.push_back(std::move(work));
    }
    // Either the loop sees the work before it sleeps, or we see that it sleeps.
    if (!sleeping_.exchange(false)) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_up_, &one, sizeof one);
}

void EventLoop::run_posted() {
    std::vector<std::function<void()>> now;
    {
        std::lock_guard lock(posted_mutex_);
        now.swap(posted_);
    }
    for (const auto& work : now)
        work();
}

void EventLoop::wait() {
    sleeping_ = true;
    bool work_waits = false;
    {
        std::lock_guard lock(posted_mutex_);
        work_waits = !posted_.empty();
    }
    int timeout_ms = 0;
    if (!work_waits) {
        const auto left = last_sweep_.load() + sweep_interval - std::chrono::steady_clock::now();
        const auto left_ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
        timeout_ms = static_cast<int>(std::max<std::int64_t>(left_ms, 0));
    }
    std::array<epoll_event, events_at_once> events;
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout_ms);
    sleeping_ = false;
    now_ = std::chrono::steady_clock::now();
    fetched_ = std::span(events).first(static_cast<std::size_t>(std::max(count, 0)));
    while (!fetched_.empty()) {
        const epoll_event event = fetched_.front();
        fetched_ = fetched_.subspan(1);
        if (event.data.ptr != nullptr) static_cast<Watcher*>(event.data.ptr)->on_events(event.events);
    }
}

bool EventLoop::watch(int fd, std::uint32_t events, Watcher& watcher) {
    epoll_event event{events, {&watcher}};
    return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool EventLoop::rewatch(int fd, std::uint32_t events, Watcher& watcher) {
    epoll_event event{events, {&watcher}};
    return ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0;
}

void EventLoop::unwatch(int fd, const Watcher& watcher) {
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    forget(watcher);
}

void EventLoop::forget(const Watcher& watcher) {
    for (epoll_event& event : fetched_)
        if (event.data.ptr == &watcher) event.data.ptr = nullptr;
}

void EventLoop::sweep() {
    last_sweep_ = now_;
    for (Connection* connection : connections_)
        if (connection->deadline() <= now_) connection->wake(Connection::Woken::deadline);
    std::vector<std::function<void()>> due;
    due.swap(at_sweep_);
    for (const auto& work : due)
        work();
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

void EventLoop::add(Root& root) {
    root.place = roots_.size();
    roots_.push_back(&root);
}

void EventLoop::remove(const Root& root) {
    Root* last = roots_.back();
    roots_[root.place] = last;
    last->place = root.place;
    roots_.pop_back();
}

EventLoop::Block::Block(EventLoop& loop) : loop_(loop) {
    if (loop.free_blocks_.empty()) {
        bytes_ = std::make_unique<std::vector<char>>(octets);
    } else {
        bytes_ = std::move(loop.free_blocks_.back());
        loop.free_blocks_.pop_back();
    }
}

EventLoop::Block::~Block() {
    if (loop_.free_blocks_.size() < free_blocks_max) loop_.free_blocks_.push_back(std::move(bytes_));
}

}  // namespace pier::net
