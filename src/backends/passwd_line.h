// One line of a passwd-file as Dovecot has it:
//
//   user:password:uid:gid:gecos:home:shell:extra fields
//
// Of the extra fields, parted by spaces, these mean something here: userdb_quota_rule=*:storage=1G (or
// quota_rule=, bytes=), nologin, nopassword, allow_nets=192.0.2.0/24,…, user=name. Others are for other
// programs and passed over. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "backends/source.h"

namespace pier::backends {

struct PasswdEntry {
    std::string name;      // as it is looked up: lower case
    std::string password;  // "{SCHEME}…" or without a scheme; empty: none that matches
    bool may_log_in = true;
    User user;
};

// Nothing for a line that is empty or a comment. `invalid` says what is wrong and repeats nothing of the
// line.
Result<std::optional<PasswdEntry>> parse_passwd_line(std::string_view line);

// What a field says of a user, as it stands in extra fields (and in columns of a database): also
// "quota_rule", "allow_nets". `invalid` if the value is none; names that mean nothing are fine.
Result<void> take_extra_field(std::string_view name, std::string_view value, PasswdEntry& entry);

}  // namespace pier::backends
