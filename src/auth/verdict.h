// How the check of a login ends.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "auth/directory.h"

namespace pier::auth {

struct Refused {
    // busy: more checks are waiting than limits allow; held: the guard does not let the login be checked;
    // outage: who would know (a back end) cannot be asked
    enum class Why { credentials, disabled, busy, held, outage } why{};
    std::string text;           // for the client
    std::string_view reason{};  // for the log, where it is more than `why` says; a literal
    std::string detail = {};    // for the client too, behind `text`: the administrator's own words
};
using Verdict = std::variant<AccountPtr, Refused>;

}  // namespace pier::auth
