// Questions to DNS, asked of the resolvers that are configured, by c-ares on a thread of this object's own.
// Any thread may ask. Everything that is read from files (resolv.conf(5), …) is read by make(): the running
// server's sandbox would forbid it later; /etc/hosts is not asked at all.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "dns/answer.h"
#include "dns/cache.h"

namespace pier::dns {

struct ResolverSettings {
    // "127.0.0.1", "127.0.0.1:5353", "[::1]:53"; empty: those of /etc/resolv.conf.
    std::vector<std::string> servers;
    // Whether the AD bit of their answers is believed (RFC 6840 §5.7): anybody between them and us could set
    // it. Absent: if all of them are on this machine.
    std::optional<bool> trust_ad;
    std::chrono::milliseconds try_time{3000};    // until a question is sent again, twice that the next time
    int tries = 2;                               // of each server
    std::chrono::milliseconds time_max{15'000};  // for a question, with all tries
    std::size_t under_way_max = 2000;            // questions; one more fails at once
    CacheLimits cache;
};

class Resolver {
  public:
    // `invalid`: a server that is no address. Call it before threads are confined.
    static Result<std::unique_ptr<Resolver>> make(ResolverSettings settings, Clock clock = system_now);
    virtual ~Resolver() = default;  // what is under way fails first

    using Done = std::function<void(Answer)>;
    // `done` runs on the resolver's thread, or inside this call if the answer is known: it must be short.
    // Always called, within `time_max`.
    virtual void ask(const std::string& name, Type type, Done done) = 0;
    // Waits. Not on the resolver's thread, nor on an event loop.
    Answer ask(const std::string& name, Type type);

    virtual bool trusts_ad() const = 0;
};

}  // namespace pier::dns
