// One channel: the notices that wait for it, in order, and the thread that tries to send them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "main/alert_channels.h"
#include "main/alert_sender.h"

namespace pier::program {

struct AlertLineLimits {
    std::chrono::seconds retry_after{5};  // behind the first try; then twice as long each time
    unsigned tries_max = 8;
    std::size_t waiting_max = 100;
};

class AlertLine {
  public:
    AlertLine(const AlertChannelConfig& config, std::unique_ptr<AlertSender> sender,
              const AlertLineLimits& limits);
    ~AlertLine();  // stops it
    AlertLine(const AlertLine&) = delete;
    AlertLine& operator=(const AlertLine&) = delete;

    void start();
    // Nothing is begun any more; join() waits for what is under way.
    void stop();
    void join();

    // If it wants that severity. Any thread.
    void put(std::shared_ptr<const Shipment> shipment);
    // A try now, on the caller's thread, beside what waits.
    AlertChannels::Tried try_now(const Shipment& shipment);
    AlertChannels::State state() const;
    const std::string& name() const { return name_; }

  private:
    struct Waiting {
        std::shared_ptr<const Shipment> shipment;
        unsigned tries = 0;
        std::chrono::steady_clock::time_point due{};
    };

    enum class Fate { sent, again, given_up };
    struct Settled {
        Fate fate{};
        unsigned tries = 0;
        bool was_well = true;  // before this try
    };

    void work();
    // The lock is held in both.
    void note(const Attempt& attempt, Time now);
    Settled settle(const Attempt& attempt);
    void tell(const Settled& settled, const Attempt& attempt, const Shipment& shipment) const;

    const std::string name_;
    const watch::Severity at_least_;
    const std::unique_ptr<AlertSender> sender_;
    const AlertLineLimits limits_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Waiting> waiting_;
    bool under_way_ = false;  // the first of them is being tried
    bool started_ = false, stopping_ = false;
    AlertChannels::State state_;
    std::thread thread_;
};

}  // namespace pier::program
