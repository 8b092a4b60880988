// What the directory holds, and its way to the store; shared by the three files of the directory: loading and
// reading (directory.cc), accounts (directory_accounts.cc), aliases and domains (directory_addresses.cc).
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
    std::set<std::string, std::less<>> domains;
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
    bool known(std::string_view name) const { return accounts.contains(name) || aliases.contains(name); }
    bool leads_to(std::string_view from, std::string_view name) const;
    std::string alias_with_target(std::string_view name) const;
    const std::string* first_of_domain(std::string_view domain) const;
    void expand(std::string_view name, std::set<std::string, std::less<>>& seen,
                std::vector<AccountPtr>& out) const;

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
