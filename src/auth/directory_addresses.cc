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
        if (const auto forwards = accounts.find(here); forwards != accounts.end())
            open.insert(open.end(), forwards->second->forward.begin(), forwards->second->forward.end());
    }
    return false;
}

std::string Directory::Impl::alias_with_target(std::string_view name) const {
    for (const auto& [address, targets] : aliases)
        if (std::ranges::find(targets, name) != targets.end()) return address;
    return {};
}

std::string Directory::Impl::account_forwarding_to(std::string_view name) const {
    for (const auto& [account_name, account] : accounts)
        if (std::ranges::find(account->forward, name) != account->forward.end()) return account_name;
    return {};
}

Result<std::vector<std::string>> Directory::Impl::good_targets(
    const std::string& from, const std::vector<std::string>& targets) const {
    std::vector<std::string> out;
    for (const auto& target : targets) {
        std::string good = fold_name(target);
        if (const auto [local, alias] = split_address(good); canonical(alias) != alias)
            good = fmt::format("{}@{}", local, canonical(alias));
        const std::string_view domain = split_address(good).second;
        if (!known(good) && good != from) {
            if (domain.empty() || domains.contains(domain))
                return Error{ErrorKind::not_found,
                             fmt::format("the target {} is neither an account nor an alias", target)};
            auto address = outside_address(target);
            if (!address) return invalid(fmt::format("the target {}: {}", target, address.error().text));
            good = std::move(*address);
        }
        if (leads_to(good, from)) return invalid(fmt::format("the target {} leads back to {}", good, from));
        if (std::ranges::find(out, good) == out.end()) out.push_back(std::move(good));
    }
    return out;
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
    if (alias.targets.empty()) return invalid(fmt::format("the alias {} has no target", *address));
    if (alias.targets.size() > alias_targets_max)
        return invalid(
            fmt::format("an alias has at most {} targets; make several and join them by another alias",
                        alias_targets_max));

    std::lock_guard changing(impl_->changing);
    const std::string_view domain = split_address(*address).second;
    if (!domain.empty() && !impl_->domains.contains(domain))
        return Error{
            ErrorKind::not_found,
            fmt::format("the domain {0} is not known here; add it first with 'pier domain add {0}'", domain)};
    if (auto good = impl_->takes_names(domain); !good) return good.error();
    if (impl_->accounts.contains(*address))
        return Error{ErrorKind::exists,
                     fmt::format("{} is an account, and cannot be an alias too", *address)};
    auto targets = impl_->good_targets(*address, alias.targets);
    if (!targets) return targets.error();
    if (auto put = impl_->put(DirectoryKind::alias, *address, 0, write_alias(*targets)); !put)
        return put.error();
    std::unique_lock lock(impl_->reading);
    impl_->aliases.insert_or_assign(*address, std::move(*targets));
    return {};
}

Result<void> Directory::remove_alias(std::string_view address) {
    const std::string folded = fold_name(address);
    std::lock_guard changing(impl_->changing);
    if (!impl_->aliases.contains(folded))
        return Error{ErrorKind::not_found, fmt::format("there is no alias {}", folded)};
    if (const std::string other = impl_->alias_with_target(folded); !other.empty())
        return invalid(fmt::format("the alias {0} leads to {1}; change or remove {0} first", other, folded));
    if (const std::string account = impl_->account_forwarding_to(folded); !account.empty())
        return invalid(
            fmt::format("{0} forwards its mail to {1}; end that first with 'pier account change "
                        "{0} --forward none'",
                        account, folded));
    if (auto erased = impl_->erase(DirectoryKind::alias, folded); !erased) return erased.error();
    std::unique_lock lock(impl_->reading);
    impl_->aliases.erase(folded);
    return {};
}

// An alias has the addresses of another domain, and none of its own.
Result<void> Directory::Impl::takes_names(std::string_view domain) const {
    const auto at = domains.find(domain);
    if (at == domains.end() || at->second.alias_of.empty()) return {};
    return invalid(fmt::format("{0} has the addresses of {1}; add them there", domain, at->second.alias_of));
}

Result<std::string> Directory::Impl::good_alias_of(const std::string& name, std::string_view alias_of) const {
    if (alias_of.empty()) return std::string();
    const std::string folded = fold_name(alias_of);
    const auto at = domains.find(folded);
    if (folded == name) return invalid("a domain cannot be an alias of itself");
    if (at == domains.end())
        return Error{
            ErrorKind::not_found,
            fmt::format("the domain {0} is not known here; add it first with 'pier domain add {0}'", folded)};
    if (!at->second.alias_of.empty())
        return invalid(
            fmt::format("{} is itself an alias, of {}; name that one", folded, at->second.alias_of));
    if (const std::string* user = first_of_domain(name))
        return invalid(
            fmt::format("{} belongs to the domain {}, which cannot become an alias before it is "
                        "removed",
                        *user, name));
    if (const std::string other = alias_of_domain(name); !other.empty())
        return invalid(fmt::format("{} is an alias of {}, which therefore cannot be one", other, name));
    return folded;
}

std::string Directory::Impl::alias_of_domain(std::string_view domain) const {
    for (const auto& [name, other] : domains)
        if (other.alias_of == domain) return name;
    return {};
}

Result<void> Directory::put_domain(const Domain& wanted) {
    const auto name = domain_name(wanted.name);
    if (!name) return name.error();
    std::lock_guard changing(impl_->changing);
    if (impl_->domains.contains(*name))
        return Error{ErrorKind::exists, fmt::format("the domain {} is there already", *name)};
    const auto alias_of = impl_->good_alias_of(*name, wanted.alias_of);
    if (!alias_of) return alias_of.error();
    Domain domain{.name = *name, .alias_of = *alias_of, .quota_octets = wanted.quota_octets};
    if (auto put = impl_->put(DirectoryKind::domain, *name, 0, write_domain(domain)); !put)
        return put.error();
    std::unique_lock lock(impl_->reading);
    impl_->domains.insert_or_assign(*name, std::move(domain));
    return {};
}

Result<Domain> Directory::change_domain(std::string_view name, const DomainChange& wanted) {
    const std::string folded = fold_name(name);
    std::lock_guard changing(impl_->changing);
    const auto at = impl_->domains.find(folded);
    if (at == impl_->domains.end())
        return Error{ErrorKind::not_found, fmt::format("there is no domain {}", folded)};
    Domain domain = at->second;
    if (wanted.alias_of) {
        auto alias_of = impl_->good_alias_of(folded, *wanted.alias_of);
        if (!alias_of) return alias_of.error();
        domain.alias_of = std::move(*alias_of);
    }
    if (wanted.quota_octets) domain.quota_octets = *wanted.quota_octets;
    if (auto put = impl_->put(DirectoryKind::domain, folded, 0, write_domain(domain)); !put)
        return put.error();
    std::unique_lock lock(impl_->reading);
    impl_->domains.insert_or_assign(folded, domain);
    return domain;
}

Result<void> Directory::remove_domain(std::string_view name) {
    const std::string folded = fold_name(name);
    std::lock_guard changing(impl_->changing);
    if (!impl_->domains.contains(folded))
        return Error{ErrorKind::not_found, fmt::format("there is no domain {}", folded)};
    if (const std::string* user = impl_->first_of_domain(folded))
        return invalid(fmt::format(
            "{} belongs to the domain {}; remove all of its accounts and aliases first", *user, folded));
    if (const std::string other = impl_->alias_of_domain(folded); !other.empty())
        return invalid(fmt::format("{0} is an alias of {1}; remove {0} first", other, folded));
    if (auto erased = impl_->erase(DirectoryKind::domain, folded); !erased) return erased.error();
    std::unique_lock lock(impl_->reading);
    impl_->domains.erase(folded);
    return {};
}

}  // namespace pier::auth
