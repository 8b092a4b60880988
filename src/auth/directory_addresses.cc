// Adding and removing aliases and domains.
#include <algorithm>

#include <fmt/format.h>

#include "auth/directory_state.h"
#include "auth/name.h"

namespace pier::auth {

namespace {

constexpr std::size_t alias_targets_max = 1000;

Error invalid(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

}  // namespace

bool Directory::Impl::leads_to(std::string_view from, std::string_view name) const {
    std::set<std::string, std::less<>> seen;
    std::vector<std::string_view> open{from};
    while (!open.empty()) {
        const std::string_view here = open.back();
        open.pop_back();
        if (here == name) return true;
        if (!seen.emplace(here).second) continue;
        if (const auto alias = aliases.find(here); alias != aliases.end())
            open.insert(open.end(), alias->second.begin(), alias->second.end());
    }
    return false;
}

std::string Directory::Impl::alias_with_target(std::string_view name) const {
    for (const auto& [address, targets] : aliases)
        if (std::ranges::find(targets, name) != targets.end()) return address;
    return {};
}

const std::string* Directory::Impl::first_of_domain(std::string_view domain) const {
    for (const auto& [name, account] : accounts)
        if (split_address(name).second == domain) return &name;
    for (const auto& [address, targets] : aliases)
        if (split_address(address).second == domain) return &address;
    return nullptr;
}

Result<void> Directory::put_alias(const Alias& alias) {
    const auto address = alias_address(alias.address);
    if (!address) return address.error();
    std::vector<std::string> targets;
    for (const auto& target : alias.targets) {
        std::string folded = fold_name(target);
        if (std::ranges::find(targets, folded) == targets.end()) targets.push_back(std::move(folded));
    }
    if (targets.empty()) return invalid(fmt::format("the alias {} has no target", *address));
    if (targets.size() > alias_targets_max)
        return invalid(
            fmt::format("an alias has at most {} targets; make several and join them by another alias",
                        alias_targets_max));

    std::lock_guard changing(impl_->changing);
    const std::string_view domain = split_address(*address).second;
    if (!domain.empty() && !impl_->domains.contains(domain))
        return Error{
            ErrorKind::not_found,
            fmt::format("the domain {0} is not known here; add it first with 'pier domain add {0}'", domain)};
    if (impl_->accounts.contains(*address))
        return Error{ErrorKind::exists,
                     fmt::format("{} is an account, and cannot be an alias too", *address)};
    for (const auto& target : targets) {
        if (!impl_->known(target) && target != *address)
            return Error{ErrorKind::not_found,
                         fmt::format("the target {} is neither an account nor an alias", target)};
        if (impl_->leads_to(target, *address))
            return invalid(fmt::format("the target {} leads back to {}", target, *address));
    }
    if (auto put = impl_->put(DirectoryKind::alias, *address, 0, write_alias(targets)); !put)
        return put.error();
    std::unique_lock lock(impl_->reading);
    impl_->aliases.insert_or_assign(*address, std::move(targets));
    return {};
}

Result<void> Directory::remove_alias(std::string_view address) {
    const std::string folded = fold_name(address);
    std::lock_guard changing(impl_->changing);
    if (!impl_->aliases.contains(folded))
        return Error{ErrorKind::not_found, fmt::format("there is no alias {}", folded)};
    if (const std::string other = impl_->alias_with_target(folded); !other.empty())
        return invalid(fmt::format("the alias {0} leads to {1}; change or remove {0} first", other, folded));
    if (auto erased = impl_->erase(DirectoryKind::alias, folded); !erased) return erased.error();
    std::unique_lock lock(impl_->reading);
    impl_->aliases.erase(folded);
    return {};
}

Result<void> Directory::put_domain(const Domain& domain) {
    const auto name = domain_name(domain.name);
    if (!name) return name.error();
    std::lock_guard changing(impl_->changing);
    if (impl_->domains.contains(*name))
        return Error{ErrorKind::exists, fmt::format("the domain {} is there already", *name)};
    if (auto put = impl_->put(DirectoryKind::domain, *name, 0, write_domain()); !put) return put.error();
    std::unique_lock lock(impl_->reading);
    impl_->domains.insert(*name);
    return {};
}

Result<void> Directory::remove_domain(std::string_view name) {
    const std::string folded = fold_name(name);
    std::lock_guard changing(impl_->changing);
    if (!impl_->domains.contains(folded))
        return Error{ErrorKind::not_found, fmt::format("there is no domain {}", folded)};
    if (const std::string* user = impl_->first_of_domain(folded))
        return invalid(fmt::format(
            "{} belongs to the domain {}; remove all of its accounts and aliases first", *user, folded));
    if (auto erased = impl_->erase(DirectoryKind::domain, folded); !erased) return erased.error();
    std::unique_lock lock(impl_->reading);
    impl_->domains.erase(folded);
    return {};
}

}  // namespace pier::auth
