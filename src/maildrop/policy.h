// The administrator's policy for maildrops: what becomes of mail that a POP3 client deletes or that has grown
// old, and how much of it a client is shown.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace pier::maildrop {

enum class Deleted {
    removed,  // RFC 1939: it is gone
    trash,    // it is moved to the mailbox "Trash", and counts for the quota as before
    hidden,   // nobody sees it any more, nor does it count; for some days it can be brought back
};

// All in whole days; 0: not at all.
struct Policy {
    Deleted deleted = Deleted::removed;
    std::uint32_t hidden_days = 14;   // how long it stays hidden
    std::uint32_t expire_days = 0;    // mail that has been here so long is deleted (RFC 2449 §6.7)
    std::uint32_t show_days = 0;      // older mail is not shown to POP3 clients, but kept
    std::uint32_t show_messages = 0;  // no more than that are: the last ones
    std::uint32_t recent_days = 30;   // what "recent:ada" is shown
};

inline constexpr std::string_view trash_mailbox = "Trash";

// The mailbox that takes what is hidden on that day (UTC): ".removed/2026-11-29". A mailbox for each day, so
// that the store needs to know of no date when it is forgotten: with its mailbox.
std::string hidden_mailbox(Time when);
// The day of such a mailbox, at its beginning; absent if it is another one.
std::optional<Time> hidden_on(std::string_view mailbox);

// "recent:ada": the user name alone, and that it stood before it. No account's name has a colon.
struct AskedFor {
    std::string_view user;
    bool recent = false;
};
AskedFor split_recent(std::string_view user);

}  // namespace pier::maildrop
