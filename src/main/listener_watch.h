// Whether a running server's own TCP ports are still listened on, and by nobody else. What that takes is
// opened and noted before the sandbox, which looks then pass: /proc/net is read again, no process is looked
// into.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "net/listener.h"
#include "watch/drift.h"
#include "watch/listening.h"

namespace pier::program {

class ListenerWatch {
  public:
    // What a listener is bound to. Unix sockets are passed over. Before the first look.
    void add(const std::string& name, const net::ListenSockets& sockets);

    // What is seen now of each (watch/drift.h); a change, seen often enough, is a line in the log.
    // Nothing where /proc/net cannot be read. One thread at a time; reads a file.
    std::vector<watch::Observation> look(Time now);

  private:
    watch::ListeningFiles files_;
    std::vector<watch::ConfiguredPort> ports_;
    std::set<std::uint64_t> own_;          // the inodes of the server's sockets
    std::map<std::string, unsigned> ill_;  // by their keys: for how many looks
};

}  // namespace pier::program
