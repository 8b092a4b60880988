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
#include "auth/protocols.h"
#include "base/network.h"
#include "base/result.h"
#include "store/store.h"
#include "wire/sasl.h"

namespace pier::auth {

// A second proof beside the password, asked for where people can type it: not by mail programs, which then
// take app passwords only.
struct SecondFactor {
    std::string secret;           // raw octets (totp.h)
    bool confirmed = false;       // the owner's app has shown a code of it: it is in force
    std::uint64_t used_step = 0;  // of the last code: none is taken twice (RFC 6238 §5.2)
};

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
    Protocols protocols;        // and by which
    std::vector<AppPassword> app_passwords;
    bool app_passwords_only = false;  // its own password is not taken by mail protocols
    std::optional<SecondFactor> second_factor;
    bool master = false;               // an administrator's: may log in as any other account
    std::vector<std::string> send_as;  // as whom else it may send mail (sender.h)
    // Who checks its passwords; empty: Pier itself. It then has no password of its own.
    std::string backend;
    // Who gets its mail too: accounts and aliases of this server, addresses of others.
    std::vector<std::string> forward;
    bool keep_copy = true;  // while it forwards: its own mailbox gets the mail as well
    Time created{};

    bool has_second_factor() const { return second_factor && second_factor->confirmed; }
};
using AccountPtr = std::shared_ptr<const Account>;

struct Alias {
    std::string address;
    std::vector<std::string> targets;
};  // targets: names of accounts or of aliases, addresses of other servers
struct Domain {
    std::string name;
    std::string alias_of{};          // the domain whose addresses it has; empty: its own
    std::uint64_t quota_octets = 0;  // of all its accounts together; 0: none
};

// Whom mail for an address is for, each once.
struct Recipients {
    std::vector<AccountPtr> accounts;
    std::vector<std::string> elsewhere;  // addresses of other servers
    bool empty() const { return accounts.empty() && elsewhere.empty(); }
};

struct NewAccount {
    std::string name;
    std::string password{};         // the password itself; or
    std::string password_scheme{};  // "{SSHA}…" as imported, checked for a scheme that is known
    std::uint64_t quota_octets = 0;
    bool exclusive = false;
};

// What a back end says of somebody whom it knows; what is absent stays as the account has it.
struct BackendUser {
    std::string backend, name;
    std::optional<std::uint64_t> quota_octets{};
    std::optional<Networks> allow{};
};

struct AccountChange {  // what is absent stays
    std::optional<std::string> password, password_scheme;
    std::optional<std::uint64_t> quota_octets;
    std::optional<bool> disabled, exclusive, app_passwords_only, master;
    std::optional<std::string> disabled_text;
    std::optional<Networks> allow, deny;
    std::optional<Protocols> protocols;
    std::optional<std::vector<std::string>> forward;  // empty: to nobody any more
    std::optional<bool> keep_copy;
    std::optional<std::vector<std::string>> send_as;
};

struct DomainChange {  // what is absent stays
    std::optional<std::string> alias_of;
    std::optional<std::uint64_t> quota_octets;
};

class Directory {
  public:
    explicit Directory(store::Store& store);  // the store outlives it
    ~Directory();

    Result<void> load();  // reads all records; once, before use

    // What stands between a name and what its owner has added to it: ada+lists is Ada's (RFC 5233). Empty:
    // nothing does. At first "+"; before use.
    void use_separator(std::string separator);

    AccountPtr find(std::string_view name) const;  // by login name, in any case; null if there is none
    AccountPtr find(store::AccountId id) const;
    std::vector<AccountPtr> accounts() const;  // by name
    std::vector<Alias> aliases() const;
    std::vector<Domain> domains() const;
    bool has_domain(std::string_view name) const;  // in any case
    std::optional<Domain> domain(std::string_view name) const;
    // Of the accounts with an address in it.
    std::vector<AccountPtr> accounts_of(std::string_view domain) const;

    // Who receives mail for local@domain: the account of that name, of the bare local part when the domain is
    // ours (or empty), or what an alias leads to; then what these forward to. not_found when nobody does; the
    // text says why.
    Result<Recipients> resolve(std::string_view local, std::string_view domain) const;

    // Changes. They hash passwords and wait for the disk: not on an event loop. Bad names, unknown schemes,
    // alias loops and duplicates are refused with a text that says what is wrong.
    Result<AccountPtr> add(const NewAccount& account);
    Result<AccountPtr> change(std::string_view name, const AccountChange& change);
    Result<void> remove(std::string_view name);  // with all its mail
    Result<void> put_alias(const Alias& alias);
    Result<void> remove_alias(std::string_view address);
    Result<void> put_domain(const Domain& domain);
    Result<Domain> change_domain(std::string_view name, const DomainChange& change);
    Result<void> remove_domain(std::string_view name);

    // By what people type at login: find(), and ada@example.org for the account "ada" when the domain is
    // ours.
    AccountPtr find_login(std::string_view name) const;

    // Under which names the back ends may know who logs in as `user`, or whom mail for an address is for:
    // names that are nobody's here (an account of a back end is not nobody's, but may be asked about), the
    // best first. Names that no account could have are left out.
    std::vector<std::string> names_to_ask(std::string_view user) const;
    std::vector<std::string> names_to_ask(std::string_view local, std::string_view domain) const;

    // The account of somebody whom a back end knows: made if there is none, brought up to date if there is
    // one. `exists` when the name is that of an account or alias of somebody else, `invalid` and `not_found`
    // when there can be no account of that name here.
    Result<AccountPtr> adopt(const BackendUser& user);

    // Replaces a stored password by a better form of the same, found at a login. Does nothing if the account
    // has another one by now, so that a change made meanwhile wins.
    Result<void> upgrade_password(std::string_view name, std::string_view expected,
                                  const StoredPassword& stored);

    // The first also for a name that is in use already, the second for one that is not there: refused.
    Result<AccountPtr> add_app_password(std::string_view account, const AppPassword& app_password);
    Result<AccountPtr> remove_app_password(std::string_view account, std::string_view app_password);
    // A login by it; kept to the hour, so that not every login costs a write.
    Result<void> note_app_password_use(std::string_view account, std::string_view app_password, Time when);

    // A new secret, which is in force once a code of it has been confirmed; it takes the place of one that
    // was not. `exists` if one is in force.
    Result<AccountPtr> begin_second_factor(std::string_view account, std::string_view secret);
    // `invalid` for a wrong code, or one that was used before.
    Result<AccountPtr> confirm_second_factor(std::string_view account, std::string_view code, Time now);
    Result<AccountPtr> remove_second_factor(std::string_view account);

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
