// How the directory's records look in the store: JSON with a version in "v" (docs/accounts.md lists every
// member). Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "auth/directory.h"
#include "base/result.h"

namespace pier::auth {

inline constexpr int record_version = 1;

// Whether a removal of the account has begun: it is nobody's any more, but its mail may still be there.
enum class Presence { living, being_removed };

struct AccountRecord {
    Account account;  // without id and name: those are the record's own
    Presence presence = Presence::living;
};

std::string write_account(const Account& account, Presence presence);
std::string write_alias(const std::vector<std::string>& targets);
std::string write_domain(const Domain& domain);  // without its name, which is the record's key
std::string write_secret(std::string_view secret);

// `corrupt` for anything that write_… did not write; the text names the member, and a newer version by its
// number.
Result<AccountRecord> read_account(std::string_view value);
Result<std::vector<std::string>> read_alias(std::string_view value);
Result<Domain> read_domain(std::string_view value);
Result<std::string> read_secret(std::string_view value);

}  // namespace pier::auth
