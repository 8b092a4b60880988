// How much room the quotas of domains leave: the mail of all accounts of a domain, counted now and then, with
// what was delivered since. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "auth/directory.h"
#include "base/time.h"
#include "store/store.h"

namespace pier::delivery {

class DomainRoom {
  public:
    // Both outlive it.
    DomainRoom(store::Store& store, const auth::Directory& directory)
        : store_(store), directory_(directory) {}

    // The domain of an account that has a quota for all its accounts; empty: none.
    std::string limited_domain(const auth::Account& account) const;

    // Whether so many octets more would be too many. Counts anew what was counted longer ago than
    // `counted_for`: waits for the disk.
    Result<bool> is_full(const std::string& domain, std::uint64_t octets, Time now);
    // The same by what was counted last, however long ago, without waiting; false if it never was.
    bool was_full(const std::string& domain, std::uint64_t octets) const;

    // So much was delivered to its accounts.
    void add(const std::string& domain, std::uint64_t octets);

    // Mail that was removed makes room after this time at the latest.
    static constexpr std::chrono::seconds counted_for{30};

  private:
    struct Count {
        std::uint64_t octets = 0;
        Time when{};
    };
    bool exceeds(const std::string& domain, std::uint64_t octets) const;

    store::Store& store_;
    const auth::Directory& directory_;
    mutable std::mutex mutex_;
    std::map<std::string, Count, std::less<>> counts_;  // of domains of the directory: as many
};

}  // namespace pier::delivery
