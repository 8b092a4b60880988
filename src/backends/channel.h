// The server's end of a worker process: requests go out without ever waiting, and each is answered exactly
// once: by the worker, or with an error when it is not there, has died, has taken too long, or more requests
// are under way than it may have. Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "backends/message.h"
#include "base/result.h"

namespace pier::backends {

struct ChannelLimits {
    std::chrono::seconds timeout{10};
    std::uint64_t waiting_max = 1000;
};

class Channel {
  public:
    // Takes start_process()'s socket over. Makes a thread.
    Channel(std::string name, int fd, const ChannelLimits& limits);
    ~Channel();
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    // Nothing more is asked; who waits is answered with an error before it returns.
    void stop();

    // `done` runs on the channel's thread, or before this returns: it must not block. The text of an error is
    // for the log. The id is chosen here.
    using Done = std::function<void(Result<Message>)>;
    void ask(Message request, Done done);

    struct State {
        std::string_view worker;     // "starting", "ready", "gone" (it is made anew), "ended" (for good)
        std::int64_t pid = 0;        // of the worker; 0: none
        std::uint64_t requests = 0;  // since the start
        std::uint64_t outages = 0;   // since the start: requests that the worker has not answered
        std::uint64_t restarts = 0;  // since the start: workers that died
        std::uint64_t waiting = 0;   // now
    };
    State state() const;
    const std::string& name() const { return name_; }

  private:
    struct Pending {
        std::chrono::steady_clock::time_point until;
        Done done;
    };

    void read();
    // The next message; false: the other end is closed.
    bool receive(std::string& buffer);
    void take(Message message);
    void note_worker(const Message& message);
    void end_overdue();
    void end_all(const char* why);
    int milliseconds_to_wait() const;

    const std::string name_;
    const int fd_;
    const ChannelLimits limits_;
    mutable std::mutex mutex_;
    std::map<std::uint64_t, Pending> pending_;  // by id: the oldest, which is due first, comes first
    std::uint64_t last_id_ = 0;
    State state_{.worker = "starting"};
    bool ended_ = false;
    std::jthread reader_;
};

}  // namespace pier::backends
