// The directory: accounts, aliases and domains, kept as records of the store and held in memory whole.
// Any thread; readers never wait for the disk. A change is told by its Done when it is durable.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/app_password.h"
#include "auth/password.h"
#include "base/network.h"
#include "base/result.h"
#include "store/store.h"
#include "wire/sasl.h"

namespace pier::auth {

struct Account {
    store::AccountId id{};
    std::string name;      // how it logs in: "ada" or "ada@example.org"; lower case
    std::string password;  // "{ARGON2ID}$argon2id$…", or an imported scheme: "{SSHA}…", "$6$…"; empty: none
    std::optional<wire::ScramKeys> scram_sha1,
        scram_sha256;  // absent for imported hashes until the first login by password
    store::MailboxId inbox{};
    std::uint64_t quota_octets = 0;  // 0: none
    bool disabled = false;
    std::string disabled_text;  // the administrator's words, shown at login
    bool exclusive = false;     // RFC 1939's lock: one session at a time
    AccessList networks;        // from where it may log in
    std::vector<AppPassword> app_passwords;
    bool app_passwords_only = false;  // its own password is not taken by mail protocols
    bool master = false;              // an administrator's: may log in as any other account
    Time created{};
};
using AccountPtr = std::shared_ptr<const Account>;

struct Alias {
    std::string address;
    std::vector<std::string> targets;
};  // targets: names of accounts or of aliases
struct Domain {
    std::string name;
};

struct NewAccount {
    std::string name;
    std::string password{};         // the password itself; or
    std::string password_scheme{};  // "{SSHA}…" as imported, checked for a scheme that is known
    std::uint64_t quota_octets = 0;
    bool exclusive = false;
};

struct AccountChange {  // what is absent stays
    std::optional<std::string> password, password_scheme;
    std::optional<std::uint64_t> quota_octets;
    std::optional<bool> disabled, exclusive, app_passwords_only, master;
    std::optional<std::string> disabled_text;
    std::optional<Networks> allow, deny;
};

class Directory {
  public:
    explicit Directory(store::Store& store);  // the store outlives it
    ~Directory();

    Result<void> load();  // reads all records; once, before use

    AccountPtr find(std::string_view name) const;  // by login name, in any case; null if there is none
    AccountPtr find(store::AccountId id) const;
    std::vector<AccountPtr> accounts() const;  // by name
    std::vector<Alias> aliases() const;
    std::vector<Domain> domains() const;

    // Who receives mail for local@domain: the account of that name, of the bare local part when the domain is
    // ours (or empty), or what an alias leads to. not_found when nobody does; the text says why.
    Result<std::vector<AccountPtr>> resolve(std::string_view local, std::string_view domain) const;

    // Changes. They hash passwords and wait for the disk: not on an event loop. Bad names, unknown schemes,
    // alias loops and duplicates are refused with a text that says what is wrong.
    Result<AccountPtr> add(const NewAccount& account);
    Result<AccountPtr> change(std::string_view name, const AccountChange& change);
    Result<void> remove(std::string_view name);  // with all its mail
    Result<void> put_alias(const Alias& alias);
    Result<void> remove_alias(std::string_view address);
    Result<void> put_domain(const Domain& domain);
    Result<void> remove_domain(std::string_view name);

    // By what people type at login: find(), and ada@example.org for the account "ada" when the domain is
    // ours.
    AccountPtr find_login(std::string_view name) const;

    // Replaces a stored password by a better form of the same, found at a login. Does nothing if the account
    // has another one by now, so that a change made meanwhile wins.
    Result<void> upgrade_password(std::string_view name, std::string_view expected,
                                  const StoredPassword& stored);

    // The first also for a name that is in use already, the second for one that is not there: refused.
    Result<AccountPtr> add_app_password(std::string_view account, const AppPassword& app_password);
    Result<AccountPtr> remove_app_password(std::string_view account, std::string_view app_password);
    // A login by it; kept to the hour, so that not every login costs a write.
    Result<void> note_app_password_use(std::string_view account, std::string_view app_password, Time when);

    // 32 random octets, made once and kept in the store; for Authenticator's made-up keys.
    const std::string& secret() const;

    // Called (on the changing thread) after every durable change of an account, with its name: caches drop
    // what they know.
    void on_change(std::function<void(std::string_view name)> listener);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pier::auth
