// Adding, changing and removing accounts.
#include <algorithm>

#include <fmt/format.h>

#include "auth/directory_state.h"
#include "auth/name.h"
#include "auth/sender.h"
#include "auth/totp.h"
#include "base/utf8.h"

namespace pier::auth {

namespace {

constexpr std::size_t disabled_text_octets_max = 200;
constexpr std::size_t account_networks_max = 100;  // in each list
constexpr std::size_t forward_max = 100;

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

// A password of our own would go on to work when the back end does not know the user any more.
Error kept_elsewhere(const Account& account) {
    return invalid(fmt::format("the passwords of {} are checked by the back end {}; change them there",
                               account.name, account.backend));
}

// A change that is not wanted any more, because the account is another one by now or gone: no failure.
Error moot(std::string text) {
    return {ErrorKind::exists, std::move(text)};
}
Result<void> unless_moot(const Result<AccountPtr>& changed) {
    if (changed || changed.error().kind == ErrorKind::exists || changed.error().kind == ErrorKind::not_found)
        return {};
    return changed.error();
}

}  // namespace

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

Result<AccountPtr> Directory::Impl::add_account(Account account) {
    std::unique_lock lock(changing);
    const std::string_view domain = split_address(account.name).second;
    if (!domain.empty() && !domains.contains(domain))
        return Error{
            ErrorKind::not_found,
            fmt::format("the domain {0} is not known here; add it first with 'pier domain add {0}'", domain)};
    if (auto good = takes_names(domain); !good) return good.error();
    if (accounts.contains(account.name))
        return Error{ErrorKind::exists, fmt::format("there is an account {} already", account.name)};
    if (aliases.contains(account.name))
        return Error{
            ErrorKind::exists,
            fmt::format("{0} is an alias; remove it first with 'pier alias remove {0}'", account.name)};
    if (half_removed.contains(account.name))
        return Error{ErrorKind::busy,
                     fmt::format("the removal of an earlier account {0} has not been finished; finish "
                                 "it with 'pier account remove {0}'",
                                 account.name)};
    const auto id = put(DirectoryKind::account, account.name, 0, write_account(account, Presence::living));
    if (!id) return id.error();
    account.id = store::AccountId{*id};
    if (const auto inbox = give_inbox(account); !inbox) {
        // Refused means absent, also after the next start.
        (void)remove_mail_and_record(account.id, account.name);
        return inbox.error();
    }
    AccountPtr out = publish(std::move(account));
    lock.unlock();
    tell(out->name);
    return out;
}

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
    // Hashing comes before the lock: it takes long, and a list of accounts is added by several threads.
    if (auto set = set_password(account, given(wanted.password), given(wanted.password_scheme)); !set)
        return set.error();

    return impl_->add_account(std::move(account));
}

Result<AccountPtr> Directory::change(std::string_view name, const AccountChange& wanted) {
    Account hashed;
    if (auto set = set_password(hashed, wanted.password, wanted.password_scheme); !set) return set.error();
    for (const auto& networks : {wanted.allow, wanted.deny})
        if (networks && networks->size() > account_networks_max)
            return invalid(fmt::format("an account has at most {} networks in a list; name larger networks",
                                       account_networks_max));
    if (wanted.protocols && *wanted.protocols)
        if (auto good = check_protocols(**wanted.protocols); !good) return good.error();
    const auto send_as = check_send_as(wanted.send_as.value_or(std::vector<std::string>()));
    if (!send_as) return send_as.error();
    if (wanted.disabled_text)
        if (auto good = check_disabled_text(*wanted.disabled_text); !good) return good.error();

    if (wanted.forward && wanted.forward->size() > forward_max)
        return invalid(fmt::format("an account forwards to at most {} addresses; name an alias that has them",
                                   forward_max));

    return impl_->change_account(name, [&](Account& account) -> Result<void> {
        if (wanted.forward) {
            auto targets = impl_->good_targets(account.name, *wanted.forward);
            if (!targets) return targets.error();
            account.forward = std::move(*targets);
        }
        if (wanted.keep_copy) account.keep_copy = *wanted.keep_copy;
        if (account.forward.empty()) account.keep_copy = true;
        if (wanted.password || wanted.password_scheme) {
            if (!account.backend.empty()) return kept_elsewhere(account);
            account.password = std::move(hashed.password);
            account.scram_sha1 = std::move(hashed.scram_sha1);
            account.scram_sha256 = std::move(hashed.scram_sha256);
        }
        if (wanted.app_passwords_only.value_or(false) && !account.backend.empty())
            return kept_elsewhere(account);
        if (wanted.quota_octets) account.quota_octets = *wanted.quota_octets;
        if (wanted.disabled) account.disabled = *wanted.disabled;
        if (wanted.exclusive) account.exclusive = *wanted.exclusive;
        if (wanted.app_passwords_only) account.app_passwords_only = *wanted.app_passwords_only;
        if (wanted.master) account.master = *wanted.master;
        if (wanted.disabled_text) account.disabled_text = *wanted.disabled_text;
        if (wanted.allow) account.networks.allow = *wanted.allow;
        if (wanted.deny) account.networks.deny = *wanted.deny;
        if (wanted.protocols) account.protocols = *wanted.protocols;
        if (wanted.send_as) account.send_as = *send_as;
        return {};
    });
}

Result<void> Directory::upgrade_password(std::string_view name, std::string_view expected,
                                         const StoredPassword& stored) {
    return unless_moot(impl_->change_account(name, [&](Account& account) -> Result<void> {
        if (account.password != expected) return moot("it has another password by now");
        account.password = stored.password;
        account.scram_sha1 = stored.scram_sha1;
        account.scram_sha256 = stored.scram_sha256;
        return {};
    }));
}

// ---- app passwords ----

Result<AccountPtr> Directory::add_app_password(std::string_view name, const AppPassword& app_password) {
    if (auto good = check_app_password(app_password); !good) return good.error();
    return impl_->change_account(name, [&](Account& account) -> Result<void> {
        if (!account.backend.empty()) return kept_elsewhere(account);
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
    return unless_moot(impl_->change_account(name, [&](Account& account) -> Result<void> {
        for (AppPassword& one : account.app_passwords) {
            if (one.name != app_password || when - one.used < std::chrono::hours(1)) continue;
            one.used = when;
            return {};
        }
        return moot("noted already, or revoked meanwhile");
    }));
}

// ---- the second factor ----

Result<AccountPtr> Directory::begin_second_factor(std::string_view name, std::string_view secret) {
    return impl_->change_account(name, [&](Account& account) -> Result<void> {
        if (!account.backend.empty()) return kept_elsewhere(account);
        if (account.has_second_factor())
            return Error{ErrorKind::exists,
                         fmt::format("{0} has a second factor already; for a new one first remove it with "
                                     "'pier account second-factor remove {0}'",
                                     account.name)};
        account.second_factor = SecondFactor{.secret = std::string(secret)};
        return {};
    });
}

Result<AccountPtr> Directory::confirm_second_factor(std::string_view name, std::string_view code, Time now) {
    return impl_->change_account(name, [&](Account& account) -> Result<void> {
        if (!account.second_factor)
            return Error{ErrorKind::not_found,
                         fmt::format("{0} has no second factor; 'pier account second-factor start {0}' makes "
                                     "one",
                                     account.name)};
        SecondFactor& factor = *account.second_factor;
        const auto step = totp_accepts(factor.secret, code, now, factor.used_step);
        if (!step)
            return invalid(
                "that is not the code of this half minute, or it was used before; wait for the next "
                "one, and see that the clocks of both machines are right");
        factor.used_step = *step;
        factor.confirmed = true;
        return {};
    });
}

Result<AccountPtr> Directory::remove_second_factor(std::string_view name) {
    return impl_->change_account(name, [&](Account& account) -> Result<void> {
        if (!account.second_factor)
            return Error{ErrorKind::not_found, fmt::format("{} has no second factor", account.name)};
        account.second_factor.reset();
        return {};
    });
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
    if (const std::string other = impl_->account_forwarding_to(folded); !other.empty())
        return invalid(
            fmt::format("{0} forwards its mail to {1}; end that first with 'pier account change "
                        "{0} --forward none'",
                        other, folded));

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

}  // namespace pier::auth
