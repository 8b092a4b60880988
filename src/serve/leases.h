// RFC 1939 §3's exclusive-access lock, for accounts that want it: a lease held by one session and gone with
// it, so no dead client can keep a maildrop. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/time.h"
#include "store/store.h"

namespace pier::serve {

class Leases {
  public:
    struct Holder {
        std::string peer;
        Time since{};
    };

    // Held as long as it lives; must not outlive the Leases.
    class Lease {
      public:
        ~Lease() { leases_.release(account_); }
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;

      private:
        friend class Leases;
        Lease(Leases& leases, store::AccountId account) : leases_(leases), account_(account) {}
        Leases& leases_;
        store::AccountId account_;
    };

    // The lease, or null: then `holder` says who has it.
    std::unique_ptr<Lease> acquire(store::AccountId account, const std::string& peer, Time now,
                                   Holder& holder);

    // Who holds it; absent: nobody does.
    std::optional<Holder> holder(store::AccountId account) const;

  private:
    void release(store::AccountId account);
    mutable std::mutex mutex_;
    std::unordered_map<store::AccountId, Holder> held_;
};

}  // namespace pier::serve
