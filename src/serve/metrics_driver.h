// Serves the page of measurements (base/exposition.h) by HTTP/1.1 (RFC 9112): GET and HEAD of /metrics, one
// request for each connection. Anything else is 404 or 405. Who may ask is for the listener's networks to
// say.
//
// The page tells how the server is, never who its users are: no label has anything that a client has said.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include <boost/asio/thread_pool.hpp>

#include "base/exposition.h"
#include "net/connection.h"

namespace pier::serve {

// What all its connections share; outlives them.
class MetricsService {
  public:
    using SteadyTime = std::chrono::steady_clock::time_point;
    using Collect = std::function<metrics::Page()>;

    // `collect` may wait for the disk: it runs on the pool.
    MetricsService(Collect collect, boost::asio::thread_pool& pool, std::chrono::seconds timeout)
        : collect_(std::move(collect)), pool_(pool), timeout_(timeout) {}

    // The page. However many ask, it is made at most once a second: making it costs the mail's threads. Any
    // thread that may wait.
    std::string text(metrics::Format format, SteadyTime now);

    boost::asio::thread_pool& pool() { return pool_; }
    std::chrono::seconds timeout() const { return timeout_; }

  private:
    const Collect collect_;
    boost::asio::thread_pool& pool_;
    const std::chrono::seconds timeout_;
    std::mutex mutex_;
    std::optional<metrics::Page> page_;
    SteadyTime made_{};
};

net::Task<void> serve_metrics(net::Connection& connection, MetricsService& service);

}  // namespace pier::serve
