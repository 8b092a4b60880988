// One run: what all connections share. The clock starts when every connection is ready (logged in, where the
// load measures what comes after that); it ends when the last operation has ended, so every operation that is
// counted is paid for within the time and the CPU time that are reported, and the other way round.
#pragma once

#include <algorithm>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "load/loop.h"
#include "load/message.h"
#include "load/options.h"
#include "load/scram.h"
#include "load/stream.h"
#include "load/tls.h"

namespace load {

// What was seen of a user's maildrop; later sessions must see the same.
struct Maildrop {
    bool listed = false;
    std::uint64_t messages = 0, octets = 0, uidl_checksum = 0;
    std::vector<std::uint64_t> checksums;  // of messages fetched; 0: not yet
};

class Run {
  public:
    explicit Run(const Options& options);

    // Drives all connections to the end; throws Stop.
    void go();

    struct Counted {
        double seconds = 0;
        std::uint64_t operations = 0;
        std::uint64_t octets = 0;                 // of messages, as they are and not as they travel
        std::uint64_t bodies_verified = 0;        // against the checksum in their own header
        std::vector<std::uint64_t> latencies_ns;  // one for each operation, in no order
        std::uint64_t server_cpu_us = 0, own_cpu_us = 0;
        std::uint64_t server_pss_before_octets = 0,
                      server_pss_octets = 0;  // idle: with no connection, with all
    };
    Counted counted;
    const Options& options;
    Endpoint endpoint;
    std::unique_ptr<Tls> tls;  // null without TLS
    Loop loop;
    ScramKeyCache scram_keys;

    // co_await run.ready(): goes on when every connection has come this far, and the clock runs.
    auto ready() { return Ready{*this}; }

    // co_await run.turn(): lets the other connections go first. A server that answers at once would otherwise
    // keep one connection going and let the others wait.
    auto turn() { return Turn{*this}; }

    // idle: co_await run.enter(), and leave() later: only so many connections at once are in between.
    auto enter() { return Enter{*this}; }
    void leave();

    // idle: co_await run.all_there(): goes on when every connection has come this far and has been held long
    // enough.
    auto all_there() { return AllThere{*this}; }

    // May connection number `slot` begin another operation? Counts it as begun.
    bool more(std::size_t slot);

    // An operation has ended that began at `began`.
    void count(SteadyClock::time_point began, std::uint64_t octets);

    // The time that is reported goes on at least to here.
    void extend_to(SteadyClock::time_point end) { last_end_ = std::max(last_end_, end); }

    Maildrop& maildrop(const std::string& user) { return maildrops_[user]; }
    const User& user(std::size_t slot) const { return options.users[slot % options.users.size()]; }

  private:
    struct Ready {
        Run& run;
        bool await_ready() const { return false; }
        void await_suspend(std::coroutine_handle<> waiting) const { run.arrive(waiting); }
        void await_resume() const {}
    };
    struct Turn {
        Run& run;
        bool await_ready() const { return run.options.connections == 1; }
        void await_suspend(std::coroutine_handle<> waiting) const { run.loop.post(waiting); }
        void await_resume() const {}
    };
    struct Enter {
        Run& run;
        bool await_ready() const {
            const bool room = run.inside_ < inside_max;
            run.inside_ += room;
            return room;
        }
        void await_suspend(std::coroutine_handle<> waiting) const { run.outside_.push_back(waiting); }
        void await_resume() const {}
    };
    struct AllThere {
        Run& run;
        bool await_ready() const { return false; }
        void await_suspend(std::coroutine_handle<> waiting) const { run.gather(waiting); }
        void await_resume() const {}
    };
    // Waits for the end of standard input.
    struct Hold : Watched {
        explicit Hold(Run& of) : run(of) {}
        void on_events(std::uint32_t epoll_events) override;
        void check_wait(SteadyClock::time_point) override {}
        Run& run;
    };
    static constexpr std::size_t inside_max = 64;
    void arrive(std::coroutine_handle<> waiting);
    void gather(std::coroutine_handle<> waiting);
    void go_on();

    std::map<std::string, Maildrop> maildrops_;
    std::vector<std::coroutine_handle<>> arrived_, gathered_;
    std::deque<std::coroutine_handle<>> outside_;
    std::size_t inside_ = 0;
    Hold hold_{*this};
    std::vector<std::uint64_t> begun_;  // by each connection
    SteadyClock::time_point started_, deadline_, last_end_;
    std::uint64_t server_cpu_at_start_us_ = 0, own_cpu_at_start_us_ = 0;
};

}  // namespace load
