// The MTA-STS policies of domains (RFC 8461): found in DNS, fetched over HTTPS, remembered. Any thread; it
// waits for both.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/network.h"
#include "base/result.h"
#include "base/time.h"
#include "queue/mta_sts.h"
#include "queue/route.h"

namespace pier::queue {

class StsPolicies {
  public:
    // The text of the policy of a domain, from the server "mta-sts.<domain>", which has these addresses.
    using Fetch =
        std::function<Result<std::string>(const std::string& domain, const std::vector<IpAddress>&)>;

    StsPolicies(std::size_t domains_max, Fetch fetch, Clock clock)
        : cache_(domains_max), fetch_(std::move(fetch)), clock_(std::move(clock)) {}

    // Absent: the domain has none, or none could be had and none is remembered: RFC 8461 §3.3 goes on
    // without.
    std::optional<StsPolicy> of(const std::string& domain, Lookups& lookups);

  private:
    std::mutex mutex_;
    StsCache cache_;
    const Fetch fetch_;
    const Clock clock_;
};

}  // namespace pier::queue
