// Asks rspamd about messages, a bounded number at a time, each until its deadline. Any thread.
//
//   Filter filter(settings);
//   filter.ask(question, octets, read, done)      done: a Judgement, on a thread of the filter's
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/metrics.h"
#include "base/result.h"
#include "filter/rspamd.h"

namespace pier::filter {

struct Settings {
    std::string server;  // "127.0.0.1:11333", "[::1]:11333", or the path of a Unix socket
    std::chrono::milliseconds timeout{30'000};  // for one message, waiting for its turn included
    std::size_t connections_max = 16;           // messages looked at, at the same time
    std::size_t waiting_max = 1000;             // for their turn; more are not looked at
    std::uint64_t octets_max = 50ull << 20;     // larger messages are not looked at
    bool refuse_when_down = false;              // 451; else they are taken, and marked
};

// Whether such an address can be used: this machine's own, for mail goes there in clear.
Result<void> check_server(const std::string& server);

struct Judgement {
    // Present: the message is not taken.
    std::optional<smtp::Reply> refusal;
    std::string fields;  // else: to be put in front of it
    bool spam = false;   // it is marked as spam
    std::string log;     // "add header score=7.10"; "not looked at: …"
};

class Filter {
  public:
    explicit Filter(Settings settings);
    ~Filter();  // waits for what is under way, until its deadlines

    // The message's octets at `offset`, at least one; called on a thread of the filter's until `done` is
    // called.
    using Read = std::function<Result<std::size_t>(std::uint64_t offset, std::span<char> out)>;
    // `done` is called exactly once, perhaps before this returns.
    void ask(Question question, std::uint64_t octets, Read read, std::function<void(Judgement)> done);

    struct Counts {
        std::uint64_t asked = 0, refused = 0, marked = 0, unchecked = 0;
        std::size_t under_way = 0;  // now, those that wait for their turn included
        bool down = false;          // the last one that was asked got no answer
    };
    Counts counts() const;
    metrics::Histogram::Values times() const;  // of questions that were answered, waiting included

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pier::filter
