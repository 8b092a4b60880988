// What runs in a worker process: a pool of threads, each with a Service of its own, that answer the requests
// which come in over the sockets (message.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "backends/message.h"

namespace pier::backends {

// Answers requests; used by one thread. A Source (source.h) becomes one by source_service.h.
class Service {
  public:
    virtual ~Service() = default;
    // The reply's word and fields; the id is put in by the caller. May block; throws nothing but
    // std::bad_alloc, which becomes an outage.
    virtual Message answer(const Message& request) = 0;
};
// Called once in each thread.
using MakeService = std::function<std::unique_ptr<Service>()>;

struct WorkerLimits {
    std::string name;                  // of the back end, for the log
    std::uint64_t threads = 4;         // requests at once
    std::uint64_t waiting_max = 1000;  // that wait for a thread; more are answered with an outage
    // After it nobody waits for the answer any more: a request that has waited so long for a thread is left
    // out. When every thread has been busy with one request for three times as long, the process ends itself,
    // to be made anew.
    std::chrono::seconds timeout{10};
};

// Until the other end is closed (0) or all threads hang (3).
int run_worker(int fd, const WorkerLimits& limits, const MakeService& make);

// A reply {"outage", {"text": …}}.
Message outage_message(std::string_view text);

}  // namespace pier::backends
