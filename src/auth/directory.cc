#include "auth/directory.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <unordered_map>

#include <fmt/format.h>

#include "auth/name.h"
#include "auth/record.h"
#include "base/log.h"
#include "base/random.h"
#include "base/utf8.h"
#include "store/wait.h"

namespace pier::auth {

namespace {

using store::DirectoryKind;

constexpr std::size_t alias_targets_max = 1000;
constexpr std::size_t recipients_max = 10'000;  // that one address may lead to
constexpr std::size_t disabled_text_octets_max = 200;
constexpr std::size_t account_networks_max = 100;  // in each list
constexpr std::size_t secret_octets = 32;
constexpr std::string_view secret_key = "auth.secret";

Error invalid(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

Result<void> check_disabled_text(std::string_view text) {
    // Attack: the text stands in a reply line; a line end would forge another reply.
    const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7F; };
    if (text.size() > disabled_text_octets_max)
        return invalid(fmt::format("the text is longer than {} octets", disabled_text_octets_max));
    if (!is_utf8(text) || std::ranges::any_of(text, control))
        return invalid("the text has a line end, another control character or invalid UTF-8");
    return {};
}

// Puts what was given, the password or a scheme, into the account.
Result<void> set_password(Account& account, const std::optional<std::string>& password,
                          const std::optional<std::string>& scheme) {
    if (!password && !scheme) return {};
    if (password && scheme) return invalid("give either the password or its stored form, not both");
    std::optional<std::string> readable = password;
    std::string normal;
    if (!readable && !scheme->empty()) {
        auto checked = normal_password_scheme(*scheme);
        if (!checked) return checked.error();
        normal = std::move(*checked);
        // A password that can be read is stored as if it had been typed, and never in clear.
        readable = readable_password(normal);
    }
    if (readable) {
        auto stored = store_password(*readable);
        wipe(*readable);
        wipe(normal);
        if (!stored) return stored.error();
        account.password = std::move(stored->password);
        account.scram_sha1 = std::move(stored->scram_sha1);
        account.scram_sha256 = std::move(stored->scram_sha256);
        return {};
    }
    account.scram_sha1 = scram_keys_of(normal, wire::ScramHash::sha1);
    account.scram_sha256 = scram_keys_of(normal, wire::ScramHash::sha256);
    account.password = std::move(normal);
    return {};
}

}  // namespace

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

// ---- loading ----

Result<void> Directory::Impl::load_secret() {
    auto record = store.get(DirectoryKind::setting, secret_key);
    if (!record) return record.error();
    if (*record) {
        auto read = read_secret((*record)->value);
        if (!read)
            return Error{read.error().kind, fmt::format("setting {}: {}", secret_key, read.error().text)};
        secret = std::move(*read);
        return {};
    }
    secret.resize(secret_octets);
    random_bytes({reinterpret_cast<unsigned char*>(secret.data()), secret.size()});
    const auto id = put(DirectoryKind::setting, std::string(secret_key), 0, write_secret(secret));
    if (!id) return id.error();
    return {};
}

Result<void> Directory::Impl::load_domains_and_aliases() {
    const auto domain_records = store.list(DirectoryKind::domain);
    if (!domain_records) return domain_records.error();
    for (const auto& record : *domain_records) {
        if (const auto read = read_domain(record.value); !read)
            return Error{read.error().kind, fmt::format("domain {}: {}", record.key, read.error().text)};
        domains.insert(record.key);
    }
    const auto alias_records = store.list(DirectoryKind::alias);
    if (!alias_records) return alias_records.error();
    for (const auto& record : *alias_records) {
        auto read = read_alias(record.value);
        if (!read)
            return Error{read.error().kind, fmt::format("alias {}: {}", record.key, read.error().text)};
        aliases[record.key] = std::move(*read);
    }
    return {};
}

Result<void> Directory::Impl::load_accounts() {
    auto records = store.list(DirectoryKind::account);
    if (!records) return records.error();
    for (auto& record : *records) {
        auto read = read_account(record.value);
        if (!read)
            return Error{read.error().kind, fmt::format("account {}: {}", record.key, read.error().text)};
        Account& account = read->account;
        account.id = store::AccountId{record.id};
        account.name = record.key;
        if (read->presence == Presence::being_removed) {
            // The process ended within a removal: finished now, so that no mail of nobody stays on the disk.
            if (const auto removed = remove_mail_and_record(account.id, account.name); !removed)
                log::warning("account.removal_unfinished",
                             {{"account", account.name}, {"error", removed.error().text}});
            continue;
        }
        if (account.inbox == store::MailboxId{}) {
            if (const auto given = give_inbox(account); !given) return given.error();
        }
        publish(std::move(account));
    }
    return {};
}

// An account is put without an inbox, gets its id by that, and then its inbox: two puts, of which the first
// may be alone on the disk after a crash. load() makes up for the second.
Result<void> Directory::Impl::give_inbox(Account& account) {
    const auto inbox = store::wait<store::MailboxId>(
        [&](auto done) { store.create_mailbox(account.id, "INBOX", std::move(done)); });
    if (!inbox) return inbox.error();
    account.inbox = *inbox;
    return put(account);
}

Result<void> Directory::Impl::remove_mail_and_record(store::AccountId id, const std::string& name) {
    half_removed.insert(name);
    const auto mailboxes = store.mailboxes(id);
    if (!mailboxes) return mailboxes.error();
    for (const auto& mailbox : *mailboxes) {
        const auto removed =
            store::wait<void>([&](auto done) { store.remove_mailbox(mailbox.id, std::move(done)); });
        if (!removed && removed.error().kind != ErrorKind::not_found) return removed.error();
    }
    if (const auto erased = erase(DirectoryKind::account, name);
        !erased && erased.error().kind != ErrorKind::not_found)
        return erased.error();
    half_removed.erase(name);
    return {};
}

Directory::Directory(store::Store& store) : impl_(std::make_unique<Impl>(store)) {}
Directory::~Directory() = default;

Result<void> Directory::load() {
    std::lock_guard changing(impl_->changing);
    if (auto loaded = impl_->load_secret(); !loaded) return loaded.error();
    if (auto loaded = impl_->load_domains_and_aliases(); !loaded) return loaded.error();
    return impl_->load_accounts();
}

// ---- reading ----

const std::string& Directory::secret() const {
    return impl_->secret;
}

AccountPtr Directory::find(std::string_view name) const {
    const std::string folded = fold_name(name);
    std::shared_lock lock(impl_->reading);
    return impl_->account(folded);
}

AccountPtr Directory::find(store::AccountId id) const {
    std::shared_lock lock(impl_->reading);
    const auto at = impl_->accounts_by_id.find(static_cast<std::uint64_t>(id));
    return at == impl_->accounts_by_id.end() ? nullptr : at->second;
}

AccountPtr Directory::find_login(std::string_view name) const {
    const std::string folded = fold_name(name);
    const auto [local, domain] = split_address(folded);
    std::shared_lock lock(impl_->reading);
    if (auto account = impl_->account(folded)) return account;
    return impl_->domains.contains(domain) ? impl_->account(local) : nullptr;
}

std::vector<AccountPtr> Directory::accounts() const {
    std::vector<AccountPtr> out;
    std::shared_lock lock(impl_->reading);
    out.reserve(impl_->accounts.size());
    for (const auto& [name, account] : impl_->accounts)
        out.push_back(account);
    return out;
}

std::vector<Alias> Directory::aliases() const {
    std::vector<Alias> out;
    std::shared_lock lock(impl_->reading);
    for (const auto& [address, targets] : impl_->aliases)
        out.push_back({address, targets});
    return out;
}

std::vector<Domain> Directory::domains() const {
    std::vector<Domain> out;
    std::shared_lock lock(impl_->reading);
    for (const auto& name : impl_->domains)
        out.push_back({name});
    return out;
}

void Directory::Impl::expand(std::string_view name, std::set<std::string, std::less<>>& seen,
                             std::vector<AccountPtr>& out) const {
    if (out.size() >= recipients_max || !seen.emplace(name).second) return;
    if (auto found = account(name)) {
        out.push_back(std::move(found));
        return;
    }
    const auto alias = aliases.find(name);
    if (alias == aliases.end()) return;
    for (const auto& target : alias->second)
        expand(target, seen, out);
}

Result<std::vector<AccountPtr>> Directory::resolve(std::string_view local_part,
                                                   std::string_view domain_part) const {
    const std::string whole = fold_name(local_part);
    const std::string domain = fold_name(domain_part);
    const std::string_view local = whole;
    // What the reply repeats is a name, and no line end or escape that a quoted local part brought.
    const Error nobody{ErrorKind::not_found, account_name(local)
                                                 ? fmt::format("there is no mailbox {}{}{} here", local,
                                                               domain.empty() ? "" : "@", domain)
                                                 : std::string("there is no such mailbox here")};
    if (!domain.empty() && !domain_name(domain)) return nobody;
    // Attack: "ada@example.org"@example.net is one address with a strange local part, not Ada's.
    if (!domain.empty() && local.find('@') != std::string_view::npos) return nobody;

    std::shared_lock lock(impl_->reading);
    if (!domain.empty() && !impl_->domains.contains(domain))
        return Error{ErrorKind::not_found, fmt::format("this server does not receive mail for {}", domain)};

    std::vector<std::string> tried;
    const auto try_names = [&](std::string_view name) {
        if (!domain.empty()) tried.push_back(fmt::format("{}@{}", name, domain));
        tried.emplace_back(name);
    };
    try_names(local);
    // Sub-addressing (RFC 5233): ada+lists is Ada's, unless somebody has just that name.
    if (const std::size_t plus = local.find('+'); plus != std::string_view::npos && plus > 0)
        try_names(local.substr(0, plus));
    if (!domain.empty()) tried.push_back("@" + domain);

    for (const auto& name : tried) {
        if (name.empty() || !impl_->known(name)) continue;
        std::set<std::string, std::less<>> seen;
        std::vector<AccountPtr> out;
        impl_->expand(name, seen, out);
        if (!out.empty()) return out;
        return Error{ErrorKind::not_found, fmt::format("the alias {} leads to no account", name)};
    }
    if (local == "postmaster")
        return Error{ErrorKind::not_found,
                     "nobody is postmaster here; the administrator appoints one with "
                     "'pier alias add postmaster ACCOUNT'"};
    return nobody;
}

void Directory::on_change(std::function<void(std::string_view)> listener) {
    std::unique_lock lock(impl_->reading);
    impl_->listeners.push_back(std::move(listener));
}

// ---- changing accounts ----

Result<AccountPtr> Directory::add(const NewAccount& wanted) {
    auto name = account_name(wanted.name);
    if (!name) return name.error();
    Account account;
    account.name = *name;
    account.quota_octets = wanted.quota_octets;
    account.exclusive = wanted.exclusive;
    account.created = system_now();
    const auto given = [](const std::string& text) {
        return text.empty() ? std::nullopt : std::optional<std::string>(text);
    };
    std::unique_lock changing(impl_->changing, std::defer_lock);
    // Hashing comes before the lock: it takes long, and a list of accounts is added by several threads.
    if (auto set = set_password(account, given(wanted.password), given(wanted.password_scheme)); !set)
        return set.error();

    changing.lock();
    const std::string_view domain = split_address(*name).second;
    if (!domain.empty() && !impl_->domains.contains(domain))
        return Error{
            ErrorKind::not_found,
            fmt::format("the domain {0} is not known here; add it first with 'pier domain add {0}'", domain)};
    if (impl_->accounts.contains(*name))
        return Error{ErrorKind::exists, fmt::format("there is an account {} already", *name)};
    if (impl_->aliases.contains(*name))
        return Error{ErrorKind::exists,
                     fmt::format("{0} is an alias; remove it first with 'pier alias remove {0}'", *name)};
    if (impl_->half_removed.contains(*name))
        return Error{ErrorKind::busy,
                     fmt::format("the removal of an earlier account {0} has not been finished; finish "
                                 "it with 'pier account remove {0}'",
                                 *name)};
    const auto id = impl_->put(DirectoryKind::account, *name, 0, write_account(account, Presence::living));
    if (!id) return id.error();
    account.id = store::AccountId{*id};
    if (const auto inbox = impl_->give_inbox(account); !inbox) {
        // Refused means absent, also after the next start.
        (void)impl_->remove_mail_and_record(account.id, account.name);
        return inbox.error();
    }
    AccountPtr out = impl_->publish(std::move(account));
    changing.unlock();
    impl_->tell(out->name);
    return out;
}

Result<AccountPtr> Directory::change(std::string_view name, const AccountChange& wanted) {
    Account hashed;
    if (auto set = set_password(hashed, wanted.password, wanted.password_scheme); !set) return set.error();
    for (const auto& networks : {wanted.allow, wanted.deny})
        if (networks && networks->size() > account_networks_max)
            return invalid(fmt::format("an account has at most {} networks in a list; name larger networks",
                                       account_networks_max));
    if (wanted.disabled_text)
        if (auto good = check_disabled_text(*wanted.disabled_text); !good) return good.error();

    std::unique_lock changing(impl_->changing);
    const AccountPtr present = impl_->account(fold_name(name));
    if (!present) return Error{ErrorKind::not_found, fmt::format("there is no account {}", fold_name(name))};
    Account account = *present;
    if (wanted.password || wanted.password_scheme) {
        account.password = std::move(hashed.password);
        account.scram_sha1 = std::move(hashed.scram_sha1);
        account.scram_sha256 = std::move(hashed.scram_sha256);
    }
    if (wanted.quota_octets) account.quota_octets = *wanted.quota_octets;
    if (wanted.disabled) account.disabled = *wanted.disabled;
    if (wanted.exclusive) account.exclusive = *wanted.exclusive;
    if (wanted.app_passwords_only) account.app_passwords_only = *wanted.app_passwords_only;
    if (wanted.master) account.master = *wanted.master;
    if (wanted.disabled_text) account.disabled_text = *wanted.disabled_text;
    if (wanted.allow) account.networks.allow = *wanted.allow;
    if (wanted.deny) account.networks.deny = *wanted.deny;
    if (auto put = impl_->put(account); !put) return put.error();
    AccountPtr out = impl_->publish(std::move(account));
    changing.unlock();
    impl_->tell(out->name);
    return out;
}

Result<void> Directory::upgrade_password(std::string_view name, std::string_view expected,
                                         const StoredPassword& stored) {
    std::unique_lock changing(impl_->changing);
    const AccountPtr present = impl_->account(fold_name(name));
    if (!present || present->password != expected) return {};
    Account account = *present;
    account.password = stored.password;
    account.scram_sha1 = stored.scram_sha1;
    account.scram_sha256 = stored.scram_sha256;
    if (auto put = impl_->put(account); !put) return put.error();
    const AccountPtr out = impl_->publish(std::move(account));
    changing.unlock();
    impl_->tell(out->name);
    return {};
}

// ---- app passwords ----

Result<AccountPtr> Directory::Impl::change_account(
    std::string_view name, const std::function<Result<void>(Account& account)>& make_change) {
    std::unique_lock lock(changing);
    const AccountPtr present = account(fold_name(name));
    if (!present) return Error{ErrorKind::not_found, fmt::format("there is no account {}", fold_name(name))};
    Account changed = *present;
    if (auto done = make_change(changed); !done) return done.error();
    if (auto kept = put(changed); !kept) return kept.error();
    AccountPtr out = publish(std::move(changed));
    lock.unlock();
    tell(out->name);
    return out;
}

Result<AccountPtr> Directory::add_app_password(std::string_view name, const AppPassword& app_password) {
    if (auto good = check_app_password(app_password); !good) return good.error();
    return impl_->change_account(name, [&](Account& account) -> Result<void> {
        const auto same = [&](const AppPassword& one) { return one.name == app_password.name; };
        if (std::ranges::any_of(account.app_passwords, same))
            return Error{ErrorKind::exists,
                         fmt::format("{} has an app password \"{}\" already; revoke it or take "
                                     "another name",
                                     account.name, app_password.name)};
        if (account.app_passwords.size() >= app_passwords_max)
            return invalid(fmt::format("{} has {} app passwords, which is the most; revoke one", account.name,
                                       app_passwords_max));
        account.app_passwords.push_back(app_password);
        return {};
    });
}

Result<AccountPtr> Directory::remove_app_password(std::string_view name, std::string_view app_password) {
    return impl_->change_account(name, [&](Account& account) -> Result<void> {
        const auto gone = std::erase_if(account.app_passwords,
                                        [&](const AppPassword& one) { return one.name == app_password; });
        if (gone > 0) return {};
        return Error{
            ErrorKind::not_found,
            fmt::format("{} has no app password \"{}\"; 'pier account app-password list {}' shows all",
                        account.name, app_password, account.name)};
    });
}

Result<void> Directory::note_app_password_use(std::string_view name, std::string_view app_password,
                                              Time when) {
    const auto changed = impl_->change_account(name, [&](Account& account) -> Result<void> {
        for (AppPassword& one : account.app_passwords) {
            if (one.name != app_password || when - one.used < std::chrono::hours(1)) continue;
            one.used = when;
            return {};
        }
        return Error{ErrorKind::exists, "noted already, or revoked meanwhile"};
    });
    if (!changed && changed.error().kind != ErrorKind::exists && changed.error().kind != ErrorKind::not_found)
        return changed.error();
    return {};
}

Result<void> Directory::remove(std::string_view name) {
    const std::string folded = fold_name(name);
    std::unique_lock changing(impl_->changing);
    const AccountPtr present = impl_->account(folded);
    if (!present) {
        if (!impl_->half_removed.contains(folded))
            return Error{ErrorKind::not_found, fmt::format("there is no account {}", folded)};
        const auto record = impl_->store.get(DirectoryKind::account, folded);
        if (!record) return record.error();
        return impl_->remove_mail_and_record(store::AccountId{*record ? (*record)->id : 0}, folded);
    }
    if (const std::string alias = impl_->alias_with_target(folded); !alias.empty())
        return invalid(
            fmt::format("the alias {0} leads to {1}; first give it other targets ('pier alias add {0} …') or "
                        "remove it ('pier alias remove {0}')",
                        alias, folded));

    // From here on nobody logs in or gets mail, and a crash does not bring the account back.
    if (auto marked = impl_->put(*present, Presence::being_removed); !marked) return marked.error();
    {
        std::unique_lock lock(impl_->reading);
        impl_->accounts.erase(folded);
        impl_->accounts_by_id.erase(static_cast<std::uint64_t>(present->id));
    }
    const auto removed = impl_->remove_mail_and_record(present->id, folded);
    changing.unlock();
    impl_->tell(folded);
    return removed;
}

// ---- changing aliases and domains ----

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
