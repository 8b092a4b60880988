#include "backends/worker.h"

#include <array>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/password.h"
#include "base/log.h"

namespace pier::backends {
namespace {

using std::chrono::steady_clock;

constexpr int hanging_status = 3;
constexpr int look_ms = 1000;  // how often it is looked whether the threads hang

struct Waiting {
    Message request;
    steady_clock::time_point since;
};

class Worker {
  public:
    Worker(int fd, const WorkerLimits& limits, const MakeService& make)
        : fd_(fd), limits_(limits), busy_since_(limits.threads) {
        for (std::size_t i = 0; i < limits.threads; ++i)
            threads_.emplace_back([this, i, &make] { work(i, make); });
    }
    ~Worker() {
        {
            std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
    }

    void take(Message request) {
        const std::uint64_t id = request.id;
        {
            std::unique_lock lock(mutex_);
            if (waiting_.size() < limits_.waiting_max) {
                waiting_.push_back({std::move(request), steady_clock::now()});
                lock.unlock();
                wake_.notify_one();
                return;
            }
        }
        reply(id, outage_message("too many requests wait for it"));
    }

    bool all_hang() {
        const auto now = steady_clock::now();
        std::lock_guard lock(mutex_);
        for (const auto& since : busy_since_)
            if (!since || now - *since < 3 * limits_.timeout) return false;
        return true;
    }

  private:
    void work(std::size_t index, const MakeService& make) {
        const std::unique_ptr<Service> service = make();
        for (;;) {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
            if (stopping_) return;
            Waiting one = std::move(waiting_.front());
            waiting_.pop_front();
            const auto now = steady_clock::now();
            if (now - one.since > limits_.timeout) continue;
            busy_since_[index] = now;
            lock.unlock();
            try {
                reply(one.request.id, service->answer(one.request));
            } catch (const std::bad_alloc&) {
                reply(one.request.id, outage_message("it has no memory"));
            }
            lock.lock();
            busy_since_[index] = std::nullopt;
        }
    }

    void reply(std::uint64_t id, Message message) const {
        message.id = id;
        auto text = encode(message);
        if (!text) {
            message = outage_message("its answer is too large");
            message.id = id;
            text = encode(message);
        }
        // Blocks while the server does not read, which it always does.
        while (::send(fd_, text->data(), text->size(), MSG_NOSIGNAL) < 0 && errno == EINTR) {
        }
        auth::wipe(*text);
    }

    const int fd_;
    const WorkerLimits& limits_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Waiting> waiting_;
    std::vector<std::optional<steady_clock::time_point>> busy_since_;  // of each thread
    bool stopping_ = false;
    std::vector<std::jthread> threads_;
};

}  // namespace

int run_worker(int fd, const WorkerLimits& limits, const MakeService& make) {
    Worker worker(fd, limits, make);
    std::vector<char> buffer(message_octets_max);
    for (;;) {
        pollfd one{fd, POLLIN, 0};
        if (::poll(&one, 1, look_ms) < 0 && errno != EINTR) return 1;
        if (worker.all_hang()) {
            log::error("backend.hangs",
                       {{"backend", limits.name},
                        {"hint", "none of its threads comes back; the process is made anew"}});
            ::_exit(hanging_status);  // whoever hangs cannot be joined
        }
        if (one.revents == 0) continue;
        const ssize_t octets = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (octets == 0) ::_exit(0);  // a thread at work cannot be told
        if (octets < 0) {
            if (errno == EINTR || errno == EAGAIN) continue;
            return 1;
        }
        auto request = decode({buffer.data(), static_cast<std::size_t>(octets)});
        sodium_memzero(buffer.data(), static_cast<std::size_t>(octets));
        if (request && request->id != 0) worker.take(std::move(*request));
    }
}

Message outage_message(std::string_view text) {
    return {0, "outage", {{"text", text}}};
}

}  // namespace pier::backends
