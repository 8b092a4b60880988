// The back ends in their order, as the authenticator asks them:
//
//   unknown user    the next name, then the next back end
//   wrong password  the end: nobody else is tried with it
//   an outage       the end: it is told as one, and never hidden behind another back end's answer
//
// and what they have said is remembered for a while (cache.h). Any thread; nothing waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/backend.h"
#include "backends/back_end.h"
#include "backends/cache.h"
#include "base/time.h"

namespace pier::backends {

class Chain : public auth::Backends {
  public:
    // At most `names_max` names are remembered.
    Chain(std::vector<std::unique_ptr<BackEnd>> back_ends, std::size_t names_max, Clock clock);

    void check(auth::BackendQuestion question, Done done) override;
    void find(auth::BackendQuestion question, Done done) override;
    bool remembers(const auth::Account& account, std::string_view password) override;
    void forget(std::string_view name) override;

    // Answers all that wait and asks nobody any more: before those go to whom the answers lead.
    void stop();

    struct State {
        const Settings& settings;
        Channel::State channel;
        std::uint64_t outages = 0;  // since the start, whoever has told them
    };
    std::vector<State> states() const;
    std::size_t remembered() const { return cache_.size(); }

  private:
    struct Course;  // a question on its way
    struct Step;
    struct Member {
        std::unique_ptr<BackEnd> back_end;
        std::unique_ptr<std::atomic<std::uint64_t>> outages;
    };
    enum class What { check, find };

    void begin(What what, auth::BackendQuestion question, Done done);
    void next(const std::shared_ptr<Course>& course);
    void ask(const std::shared_ptr<Course>& course, const Step& step);
    void take(const std::shared_ptr<Course>& course, const Step& step, Answer answer);
    void note(const Course& course, const Step& step, const Answer& answer);

    const std::vector<Member> members_;
    Cache cache_;
    const Clock clock_;
};

}  // namespace pier::backends
