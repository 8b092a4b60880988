#include "main/housekeeping.h"

#include <utility>

#include <boost/asio/post.hpp>

#include "base/log.h"

namespace pier::program {
namespace {

constexpr std::chrono::minutes first_after{1};
constexpr std::chrono::hours every{6};  // what is kept for days may go some hours late

}  // namespace

Housekeeping::Housekeeping(const auth::Directory& directory, const maildrop::Keeper& keeper,
                           boost::asio::thread_pool& pool, Clock clock)
    : directory_(directory),
      keeper_(keeper),
      pool_(pool),
      clock_(std::move(clock)),
      next_(clock_() + first_after) {}

void Housekeeping::tick() {
    if (running_ || stopping_ || clock_() < next_) return;
    next_ = clock_() + every;
    running_ = true;
    boost::asio::post(pool_, [this] {
        round();
        running_ = false;
    });
}

void Housekeeping::round() {
    maildrop::Keeper::Tidied all;
    for (const auth::AccountPtr& account : directory_.accounts()) {
        if (stopping_) return;
        const auto tidied = keeper_.tidy(*account);
        if (!tidied) {
            log::warning("maildrop.not_tidied", {{"user", account->name}, {"reason", tidied.error().text}});
            continue;
        }
        all.forgotten += tidied->forgotten;
        all.expired += tidied->expired;
    }
    if (all.forgotten + all.expired > 0)
        log::info("maildrop.tidied", {{"forgotten", all.forgotten}, {"expired", all.expired}});
}

}  // namespace pier::program
