#include "queue/sts_policies.h"

#include <utility>

#include "base/log.h"

namespace pier::queue {
namespace {

// RFC 8461 §3.3 leaves it to us; its §5.1 asks for no flood.
constexpr std::chrono::minutes leave_alone_time{5};

}  // namespace

std::optional<StsPolicy> StsPolicies::of(const std::string& domain, Lookups& lookups) {
    const dns::Answer record = lookups.ask("_mta-sts." + domain, dns::Type::txt);
    const std::optional<std::string> id = sts_id(record.texts);
    {
        const std::lock_guard lock(mutex_);
        const Time now = clock_();
        const StsCache::Entry* known = cache_.find(domain, now);
        // RFC 8461 §5.1: a policy holds for its time, whether or not the record is still there: who can make
        // it vanish must not be able to turn the policy off.
        if (known && (!id || *id == known->id)) return known->policy;
        if (!id) return std::nullopt;
        if (cache_.is_left_alone(domain, now)) return known ? std::optional(known->policy) : std::nullopt;
    }
    std::vector<IpAddress> addresses = lookups.ask("mta-sts." + domain, dns::Type::a).addresses;
    const auto six = lookups.ask("mta-sts." + domain, dns::Type::aaaa).addresses;
    addresses.insert(addresses.end(), six.begin(), six.end());
    Result<std::string> text = Error(ErrorKind::not_found, "the host mta-sts." + domain + " has no address");
    if (!addresses.empty()) text = fetch_(domain, addresses);
    Result<StsPolicy> policy = text ? parse_sts_policy(*text) : Result<StsPolicy>(text.error());
    const std::lock_guard lock(mutex_);
    const Time now = clock_();
    if (policy) {
        cache_.put(domain, *id, *policy, now);
        return *policy;
    }
    log::warning("queue.mta_sts", {{"domain", domain}, {"problem", policy.error().text}});
    cache_.leave_alone(domain, now + leave_alone_time);
    const StsCache::Entry* known = cache_.find(domain, now);
    return known ? std::optional(known->policy) : std::nullopt;
}

}  // namespace pier::queue
