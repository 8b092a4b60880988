#include "backends/back_end.h"

#include <utility>

#include "backends/kinds.h"
#include "backends/source_service.h"
#include "backends/worker.h"

namespace pier::backends {
namespace {

class BackEndInProcess : public BackEnd {
  public:
    BackEndInProcess(const Settings& settings, int fd)
        : settings_(settings), channel_(settings.name, fd, {settings.timeout, settings.waiting_max}) {}

    const Settings& settings() const override { return settings_; }

    void check(const Login& login, Done done) override { ask(check_request(login), std::move(done)); }
    void find(const std::string& name, Done done) override { ask(find_request(name), std::move(done)); }

    Channel::State state() const override { return channel_.state(); }
    void stop() override { channel_.stop(); }

  private:
    void ask(Message request, Done done) {
        channel_.ask(std::move(request), [done = std::move(done)](const Result<Message>& reply) {
            done(reply ? answer_of(*reply) : Answer(Outage{reply.error().text}));
        });
    }

    const Settings settings_;
    Channel channel_;
};

}  // namespace

std::unique_ptr<BackEnd> back_end_in_process(const Settings& settings, int fd) {
    return std::make_unique<BackEndInProcess>(settings, fd);
}

int run_back_end(const Settings& settings, int fd) {
    return run_worker(fd,
                      {.name = settings.name,
                       .threads = settings.threads,
                       .waiting_max = settings.waiting_max,
                       .timeout = settings.timeout},
                      source_service(open_kind(settings)));
}

}  // namespace pier::backends
