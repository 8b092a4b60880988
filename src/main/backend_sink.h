// Where `pier import` puts its messages: batches of them as mail.import calls of a Backend. While one batch
// is under way the next gathers, so a store that syncs once for each batch is never asked message by message.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "main/backend.h"
#include "migrate/sink.h"

namespace pier::program {

class BackendSink : public migrate::Sink {
  public:
    // `backend` outlives it and is used by nobody else meanwhile. Messages over `message_octets_max` are
    // refused.
    BackendSink(Backend& backend, std::string account, std::uint64_t message_octets_max);
    ~BackendSink() override;  // waits for what is under way

    Result<std::unique_ptr<store::Spool>> new_spool() override;
    void append(migrate::Message message, store::Done<migrate::Accepted> done) override;

  private:
    struct Waiting {
        migrate::Message message;
        store::Done<migrate::Accepted> done;
    };
    void work();
    void send(std::vector<Waiting> batch);

    Backend& backend_;
    const std::string account_, token_;
    const std::uint64_t message_octets_max_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Waiting> waiting_;
    bool ending_ = false;
    std::thread thread_;  // last: it uses all the others
};

}  // namespace pier::program
