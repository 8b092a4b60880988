// Which addresses an account may send mail as (RFC 6409 §6.1). Any thread; never waits.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "auth/directory.h"

namespace pier::auth {

enum class SenderClaim {
    own,      // the account gets mail for it: its name, an alias that leads to it, either with +tag
    granted,  // an administrator has let it send as that one (Account::send_as)
    any,      // the same, as everybody
    none,
};

SenderClaim sender_claim(const Directory& directory, const Account& account, std::string_view local,
                         std::string_view domain);

// What an administrator lists: addresses, "@example.org" for all of a domain, or "any". Folded, without
// repetitions; `invalid` for what is none of that.
Result<std::vector<std::string>> check_send_as(const std::vector<std::string>& wanted);

}  // namespace pier::auth
