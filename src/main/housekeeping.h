// What a running server does for every account now and then: forgets what was hidden long enough, deletes
// what has expired (maildrop/keeper.h). One account after the other, on a thread that may wait.
#pragma once

#include <atomic>

#include <boost/asio/thread_pool.hpp>

#include "auth/directory.h"
#include "base/time.h"
#include "maildrop/keeper.h"

namespace pier::program {

class Housekeeping {
  public:
    // All of them outlive it, once `pool` has been joined.
    Housekeeping(const auth::Directory& directory, const maildrop::Keeper& keeper,
                 boost::asio::thread_pool& pool, Clock clock = even_clock());

    // Begins a round if one is due: a minute after the start, then every six hours. Never waits.
    void tick();
    // No further account is looked at.
    void stop() { stopping_ = true; }

  private:
    void round();

    const auth::Directory& directory_;
    const maildrop::Keeper& keeper_;
    boost::asio::thread_pool& pool_;
    const Clock clock_;
    Time next_;
    std::atomic<bool> running_ = false, stopping_ = false;
};

}  // namespace pier::program
