#include "serve/leases.h"

namespace pier::serve {

std::unique_ptr<Leases::Lease> Leases::acquire(store::AccountId account, const std::string& peer, Time now,
                                               Holder& holder) {
    std::lock_guard lock(mutex_);
    const auto [at, fresh] = held_.try_emplace(account, Holder{peer, now});
    if (!fresh) {
        holder = at->second;
        return nullptr;
    }
    return std::unique_ptr<Lease>(new Lease(*this, account));
}

std::optional<Leases::Holder> Leases::holder(store::AccountId account) const {
    std::lock_guard lock(mutex_);
    const auto at = held_.find(account);
    return at == held_.end() ? std::nullopt : std::optional(at->second);
}

void Leases::release(store::AccountId account) {
    std::lock_guard lock(mutex_);
    held_.erase(account);
}

}  // namespace pier::serve
