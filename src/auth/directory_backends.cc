// Accounts that a back end keeps: under which names it is asked for them, and the records that they get here.
#include <algorithm>

#include "auth/directory_state.h"
#include "auth/name.h"

namespace pier::auth {

namespace {

// Attack: what a client types becomes part of a question to somebody else's database.
void add_if_good(std::string name, std::vector<std::string>& out) {
    if (account_name(name) && std::ranges::find(out, name) == out.end()) out.push_back(std::move(name));
}

bool changes(const Account& account, const BackendUser& user) {
    return (user.quota_octets && *user.quota_octets != account.quota_octets) ||
           (user.allow && *user.allow != account.networks.allow);
}

void take_over(const BackendUser& user, Account& account) {
    if (user.quota_octets) account.quota_octets = *user.quota_octets;
    if (user.allow) account.networks.allow = *user.allow;
}

}  // namespace

std::vector<std::string> Directory::names_to_ask(std::string_view user) const {
    const std::string folded = fold_name(user);
    const auto [local, domain] = split_address(folded);
    const AccountPtr present = find_login(user);
    if (present && present->backend.empty()) return {};
    std::vector<std::string> out;
    std::shared_lock lock(impl_->reading);
    if (!domain.empty() && !impl_->domains.contains(domain)) return {};
    const std::string_view canonical = impl_->canonical(domain);
    const std::string whole = domain.empty() ? folded : std::string(local) + '@' + std::string(canonical);
    if (!impl_->taken_here(whole)) add_if_good(whole, out);
    if (!domain.empty() && !impl_->taken_here(local)) add_if_good(std::string(local), out);
    if (present) add_if_good(present->name, out);
    return out;
}

std::vector<std::string> Directory::names_to_ask(std::string_view local_part,
                                                 std::string_view domain_part) const {
    const std::string whole = fold_name(local_part);
    std::string domain = fold_name(domain_part);
    if (whole.find('@') != std::string::npos) return {};
    std::vector<std::string> locals{whole};
    std::vector<std::string> out;
    std::shared_lock lock(impl_->reading);
    if (const std::string_view plain = impl_->without_detail(whole); !plain.empty())
        locals.emplace_back(plain);
    if (!domain.empty() && !impl_->domains.contains(domain)) return {};
    domain = std::string(impl_->canonical(domain));
    for (const std::string& local : locals)
        for (const std::string& name : {domain.empty() ? local : local + '@' + domain, local}) {
            if (impl_->known(name)) return {};
            add_if_good(name, out);
        }
    return out;
}

Result<AccountPtr> Directory::adopt(const BackendUser& user) {
    auto name = account_name(user.name);
    if (!name) return name.error();
    AccountPtr present = find(*name);
    if (!present) {
        Account account;
        account.name = *name;
        account.backend = user.backend;
        account.created = system_now();
        take_over(user, account);
        auto added = impl_->add_account(std::move(account));
        if (added || added.error().kind != ErrorKind::exists) return added;
        present = find(*name);  // made meanwhile, perhaps by another login of the same user
        if (!present) return added;
    }
    if (present->backend != user.backend)
        return Error{ErrorKind::exists,
                     present->backend.empty()
                         ? "there is a built-in account " + *name
                         : "the account " + *name + " belongs to the back end " + present->backend};
    if (!changes(*present, user)) return present;
    return impl_->change_account(*name, [&](Account& account) -> Result<void> {
        take_over(user, account);
        return {};
    });
}

}  // namespace pier::auth
