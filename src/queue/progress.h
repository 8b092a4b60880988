// What an attempt changes for one recipient: pure rules. Any thread.
#pragma once

#include <chrono>

#include "base/time.h"
#include "queue/entry.h"
#include "queue/notice.h"
#include "queue/transport.h"

namespace pier::queue {

struct Patience {
    std::chrono::seconds give_up_after{5 * 24 * 3600};  // RFC 5321 §4.5.4.1: at least 4 to 5 days
    std::chrono::seconds delay_notice_after{4 * 3600};  // 0: the sender is never told of a delay
};

enum class Event { delivered, deferred, failed, expired };

// An attempt for a waiting recipient of the entry ended so.
Event take_outcome(const Entry& entry, Recipient& recipient, const Outcome& outcome, Time now,
                   const Patience& patience);

// Its destination was not reached, and it was not even tried: absent if that changes nothing for it.
std::optional<Event> take_unreachable(const Entry& entry, Recipient& recipient, const Outcome& why, Time now,
                                      const Patience& patience);

// It ends as undeliverable.
void fail(const Entry& entry, Recipient& recipient);

// Whether anybody may be told: not of a message that is a notice itself, nor by NOTIFY=NEVER.
bool can_tell(const Entry& entry, const Recipient& recipient);

// What a recipient's sender is to be told, if notice_due.
NoticeKind notice_kind(const Recipient& recipient);

// The sender has been told so.
void note_told(Recipient& recipient, NoticeKind kind);

}  // namespace pier::queue
