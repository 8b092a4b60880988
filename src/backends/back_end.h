// One back end as the chain asks it: a worker process behind a channel, or, in tests, something else.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backends/channel.h"
#include "backends/settings.h"
#include "backends/source.h"

namespace pier::backends {

class BackEnd {
  public:
    virtual ~BackEnd() = default;
    virtual const Settings& settings() const = 0;

    // `done` is called exactly once, on a thread of the back end's or before this returns; it must not block.
    // Neither waits.
    using Done = std::function<void(Answer)>;
    virtual void check(const Login& login, Done done) = 0;
    virtual void find(const std::string& name, Done done) = 0;

    virtual Channel::State state() const = 0;
    // Answers all that wait, with an outage, and takes nothing more.
    virtual void stop() = 0;
};

// `fd` is start_process()'s. Makes a thread.
std::unique_ptr<BackEnd> back_end_in_process(const Settings& settings, int fd);

// What its worker process runs: ProcessPlan::work.
int run_back_end(const Settings& settings, int fd);

}  // namespace pier::backends
