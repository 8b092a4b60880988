// What a migration would change in one mailbox: the messages at the source beside those that are here, in the
// order in which POP3 lists them. A message here is the source's if it has the import key of it or, imported
// in another way, its UIDL (RFC 1939 §7). Pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "migrate/source.h"
#include "store/store.h"

namespace pier::migrate {

// A message that is here.
struct Present {
    store::Uid uid = 0;
    std::string uidl;
    std::uint64_t octets = 0;
    store::Flags flags = 0;
    std::optional<store::ImportKey> key;  // absent: it was not imported
};

struct Line {
    enum class Sign : char {
        same = '=',
        add = '+',           // at the source only
        gone = '-',          // imported once, and no more at the source
        change = '~',        // on both sides, but not the same
        deleted_here = 'x',  // imported once and deleted here since: it stays away
    };
    Sign sign = Sign::same;
    std::string name;                   // its UIDL; for a message without one, where it is at the source
    std::string text;                   // what differs, or is to be known
    std::size_t item = 0;               // unless it is gone: which of `there`
    store::Uid uid = 0;                 // of the message here, if there is one
    std::optional<store::Flags> flags;  // what it should have here
};

struct MailboxPlan {
    std::string mailbox;
    std::vector<Line> lines;
    std::uint64_t own = 0;           // messages here that came in otherwise; they are left alone
    std::uint64_t out_of_place = 0;  // on both sides, but in another order
    std::uint64_t other_size = 0;    // on both sides, but of another size than the source says

    std::uint64_t count(Line::Sign sign) const;
    bool differs() const;  // some line is neither `=` nor `x`
};

// `imported`: the keys of messages that the account has ever had, as far as `there` names them.
MailboxPlan compare(std::string mailbox, const std::vector<const Item*>& there,
                    const std::vector<Present>& here, const std::set<store::ImportKey>& imported);

// "seen flagged"; "none".
std::string flag_names(store::Flags flags);

}  // namespace pier::migrate
