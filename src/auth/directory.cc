#include "auth/directory.h"

#include <fmt/format.h>

#include "auth/directory_state.h"
#include "auth/name.h"
#include "base/log.h"
#include "base/random.h"

namespace pier::auth {

namespace {

constexpr std::size_t recipients_max = 10'000;  // that one address may lead to
constexpr std::size_t secret_octets = 32;
constexpr std::string_view secret_key = "auth.secret";

}  // namespace

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
        auto read = read_domain(record.value);
        if (!read)
            return Error{read.error().kind, fmt::format("domain {}: {}", record.key, read.error().text)};
        read->name = record.key;
        domains.insert_or_assign(record.key, std::move(*read));
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
    if (!impl_->domains.contains(domain)) return nullptr;
    const std::string_view canonical = impl_->canonical(domain);
    if (canonical != domain)
        if (auto account = impl_->account(fmt::format("{}@{}", local, canonical))) return account;
    return impl_->account(local);
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

bool Directory::has_domain(std::string_view name) const {
    const std::string folded = fold_name(name);
    std::shared_lock lock(impl_->reading);
    return impl_->domains.contains(folded);
}

std::vector<Domain> Directory::domains() const {
    std::vector<Domain> out;
    std::shared_lock lock(impl_->reading);
    for (const auto& [name, domain] : impl_->domains)
        out.push_back(domain);
    return out;
}

std::optional<Domain> Directory::domain(std::string_view name) const {
    const std::string folded = fold_name(name);
    std::shared_lock lock(impl_->reading);
    const auto at = impl_->domains.find(folded);
    return at == impl_->domains.end() ? std::nullopt : std::optional(at->second);
}

std::vector<AccountPtr> Directory::accounts_of(std::string_view domain) const {
    const std::string folded = fold_name(domain);
    std::vector<AccountPtr> out;
    std::shared_lock lock(impl_->reading);
    for (const auto& [name, account] : impl_->accounts)
        if (split_address(name).second == folded) out.push_back(account);
    return out;
}

void Directory::use_separator(std::string separator) {
    std::unique_lock lock(impl_->reading);
    impl_->separator = std::move(separator);
}

bool Directory::Impl::expand(std::string_view name, std::set<std::string, std::less<>>& seen,
                             Recipients& out) const {
    const std::string folded = fold_name(name);
    if (out.accounts.size() + out.elsewhere.size() >= recipients_max || !seen.insert(folded).second)
        return true;
    if (const auto found = account(folded)) {
        bool anybody = found->keep_copy || found->forward.empty();
        if (anybody) out.accounts.push_back(found);
        for (const auto& target : found->forward) {
            const bool led = expand(target, seen, out);
            anybody = anybody || led;
        }
        // What it forwards to is gone: the mail is not lost for that.
        if (!anybody) out.accounts.push_back(found);
        return true;
    }
    if (const auto alias = aliases.find(folded); alias != aliases.end()) {
        bool anybody = false;
        for (const auto& target : alias->second) {
            const bool led = expand(target, seen, out);
            anybody = anybody || led;
        }
        return anybody;
    }
    const std::string_view domain = split_address(folded).second;
    if (domain.empty() || domains.contains(domain)) return false;
    out.elsewhere.emplace_back(name);
    return true;
}

std::string_view Directory::Impl::without_detail(std::string_view local) const {
    if (separator.empty()) return {};
    const std::size_t at = local.find(separator);
    return at == std::string_view::npos ? std::string_view() : local.substr(0, at);
}

Result<Recipients> Directory::resolve(std::string_view local_part, std::string_view domain_part) const {
    const std::string whole = fold_name(local_part);
    std::string domain = fold_name(domain_part);
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
    domain = std::string(impl_->canonical(domain));

    std::vector<std::string> tried;
    const auto try_names = [&](std::string_view name) {
        if (!domain.empty()) tried.push_back(fmt::format("{}@{}", name, domain));
        tried.emplace_back(name);
    };
    try_names(local);
    // Sub-addressing (RFC 5233): ada+lists is Ada's, unless somebody has just that name.
    if (const std::string_view plain = impl_->without_detail(local); !plain.empty()) try_names(plain);
    if (!domain.empty()) tried.push_back("@" + domain);

    for (const auto& name : tried) {
        if (name.empty() || !impl_->known(name)) continue;
        std::set<std::string, std::less<>> seen;
        Recipients out;
        impl_->expand(name, seen, out);
        // They all forward to each other, and none keeps a copy.
        if (const AccountPtr found = impl_->account(name); found && out.empty())
            out.accounts.push_back(found);
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

}  // namespace pier::auth
