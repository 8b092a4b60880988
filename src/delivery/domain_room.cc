#include "delivery/domain_room.h"

#include <algorithm>

#include "auth/name.h"

namespace pier::delivery {

std::string DomainRoom::limited_domain(const auth::Account& account) const {
    const std::string_view name = auth::split_address(account.name).second;
    if (name.empty()) return {};
    const auto domain = directory_.domain(name);
    return domain && domain->quota_octets != 0 ? domain->name : std::string();
}

bool DomainRoom::exceeds(const std::string& name, std::uint64_t octets) const {
    const auto domain = directory_.domain(name);
    // What is exactly full takes nothing more, of whatever size.
    return domain && domain->quota_octets != 0 && octets > domain->quota_octets;
}

Result<bool> DomainRoom::is_full(const std::string& domain, std::uint64_t octets, Time now) {
    {
        const std::lock_guard lock(mutex_);
        const auto known = counts_.find(domain);
        if (known != counts_.end() && now - known->second.when < counted_for)
            return exceeds(domain, known->second.octets + octets);
    }
    Count count{.when = now};
    for (const auto& account : directory_.accounts_of(domain)) {
        const auto usage = store_.usage(account->id);
        if (!usage) return usage.error();
        count.octets += usage->octets;
    }
    const std::lock_guard lock(mutex_);
    counts_[domain] = count;
    return exceeds(domain, count.octets + octets);
}

bool DomainRoom::was_full(const std::string& domain, std::uint64_t octets) const {
    const std::lock_guard lock(mutex_);
    const auto known = counts_.find(domain);
    return known != counts_.end() && exceeds(domain, known->second.octets + octets);
}

void DomainRoom::add(const std::string& domain, std::uint64_t octets) {
    const std::lock_guard lock(mutex_);
    if (const auto known = counts_.find(domain); known != counts_.end()) known->second.octets += octets;
}

}  // namespace pier::delivery
