// A process of its own for what the confined server must not do: connect, run programs, load libraries, read
// files elsewhere. It is forked before the sandbox is entered and before there are threads; a worker that
// dies is made anew, which the sandbox would forbid: so a supervisor stands between, which does nothing else.
//
//   server <--- pair of sockets (message.h) ---> worker       a child of the supervisor, a child of the
//   server
//
// All of it ends when the server's end of the sockets is closed, however the server ended. A worker that dies
// again and again is made anew after 0.1, 0.2, 0.4 … 10 seconds.
//
// Messages that are no replies (id 0) come from there: "ready" {pid} from a worker that has begun, and "gone"
// {how} from the supervisor when one has died; what it was asked is answered by nobody.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"

namespace pier::backends {

struct ProcessPlan {
    std::string name;  // of the process, after "pier-": 10 octets of it are shown by ps
    // In the supervisor, once: gives up rights for good (the server's own still hold here), forbids core
    // dumps.
    std::function<Result<void>()> confine;
    // In each worker, with its end of the sockets: run_worker() of worker.h. Its exit status.
    std::function<int(int fd)> work;
};

// The server's end: close it and the processes end. While the caller is the only thread of the server.
Result<int> start_process(const ProcessPlan& plan);

}  // namespace pier::backends
