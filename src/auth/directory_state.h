// What the directory holds, and its way to the store; shared by the files of the directory: loading and
// reading (directory.cc), accounts (directory_accounts.cc), aliases and domains (directory_addresses.cc),
// accounts of back ends (directory_backends.cc).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "auth/directory.h"
#include "auth/record.h"
#include "store/wait.h"

namespace pier::auth {

using store::DirectoryKind;

struct Directory::Impl {
    explicit Impl(store::Store& s) : store(s) {}

    store::Store& store;

    // One change at a time, held while the disk is waited for. Readers never take it.
    std::mutex changing;
    std::set<std::string, std::less<>>
        half_removed;  // removals that failed after they began; under `changing`

    // What readers see; held for moments.
    mutable std::shared_mutex reading;
    std::map<std::string, AccountPtr, std::less<>> accounts;
    std::unordered_map<std::uint64_t, AccountPtr> accounts_by_id;
    std::map<std::string, std::vector<std::string>, std::less<>> aliases;
    std::map<std::string, Domain, std::less<>> domains;
    std::string separator = "+";
    std::vector<std::function<void(std::string_view)>> listeners;

    std::string secret;

    // ---- the store ----
    Result<std::uint64_t> put(DirectoryKind kind, std::string key, std::uint64_t id, std::string value) {
        return store::wait<std::uint64_t>([&](auto done) {
            store.put({.kind = kind, .key = std::move(key), .id = id, .value = std::move(value)},
                      std::move(done));
        });
    }
    Result<void> put(const Account& account, Presence presence = Presence::living) {
        const auto id = put(DirectoryKind::account, account.name, static_cast<std::uint64_t>(account.id),
                            write_account(account, presence));
        if (!id) return id.error();
        return {};
    }
    Result<void> erase(DirectoryKind kind, std::string key) {
        return store::wait<void>([&](auto done) { store.erase(kind, std::move(key), std::move(done)); });
    }

    // A change of one account, durable when it returns; a failure of `make_change` undoes it.
    Result<AccountPtr> change_account(std::string_view name,
                                      const std::function<Result<void>(Account& account)>& make_change);

    // A new one, whose name is in its normal form; refused as Directory::add() refuses.
    Result<AccountPtr> add_account(Account account);

    Result<void> load_secret();
    Result<void> load_domains_and_aliases();
    Result<void> load_accounts();
    Result<void> give_inbox(Account& account);
    Result<void> remove_mail_and_record(store::AccountId id, const std::string& name);

    // ---- what readers see; the caller holds `reading` or, for reading, `changing` ----
    AccountPtr account(std::string_view name) const {
        const auto at = accounts.find(name);
        return at == accounts.end() ? nullptr : at->second;
    }
    // Somebody's who is not kept by a back end.
    bool taken_here(std::string_view name) const {
        const AccountPtr found = account(name);
        return found ? found->backend.empty() : aliases.contains(name);
    }
    bool known(std::string_view name) const { return accounts.contains(name) || aliases.contains(name); }
    bool leads_to(std::string_view from, std::string_view name) const;
    std::string alias_with_target(std::string_view name) const;
    std::string account_forwarding_to(std::string_view name) const;
    const std::string* first_of_domain(std::string_view domain) const;
    // The domain whose addresses this one has: itself, unless it is an alias.
    std::string_view canonical(std::string_view domain) const {
        const auto at = domains.find(domain);
        return at == domains.end() || at->second.alias_of.empty() ? domain : at->second.alias_of;
    }
    // False: the name leads to nobody.
    bool expand(std::string_view name, std::set<std::string, std::less<>>& seen, Recipients& out) const;
    // What an alias or an account called `from` may lead to, in its normal form: somebody here, or an address
    // of another server.
    Result<std::vector<std::string>> good_targets(const std::string& from,
                                                  const std::vector<std::string>& targets) const;
    // Whether accounts and aliases may have addresses in that domain.
    Result<void> takes_names(std::string_view domain) const;
    Result<std::string> good_alias_of(const std::string& name, std::string_view alias_of) const;
    std::string alias_of_domain(std::string_view domain) const;
    // `local` without what its owner has added; empty: it has nothing added.
    std::string_view without_detail(std::string_view local) const;

    // Publishes a changed account and tells the listeners.
    AccountPtr publish(Account account) {
        auto shared = std::make_shared<const Account>(std::move(account));
        std::unique_lock lock(reading);
        accounts.insert_or_assign(shared->name, shared);
        accounts_by_id.insert_or_assign(static_cast<std::uint64_t>(shared->id), shared);
        return shared;
    }
    void tell(std::string_view name) const {
        std::shared_lock lock(reading);
        const auto told = listeners;
        lock.unlock();
        for (const auto& listener : told)
            listener(name);
    }
};

}  // namespace pier::auth
