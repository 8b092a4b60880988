#include "queue/progress.h"

namespace pier::queue {
namespace {

// RFC 3463 §3.5: the last answer, and that time is up.
void expire(const Entry& entry, Recipient& recipient) {
    recipient.reply.enhanced = "4.4.7";
    fail(entry, recipient);
}

bool delay_is_due(const Entry& entry, const Recipient& recipient, Time now, const Patience& patience) {
    return patience.delay_notice_after.count() != 0 && !recipient.delay_told && !recipient.notice_due &&
           now - entry.arrived >= patience.delay_notice_after && can_tell(entry, recipient) &&
           wants_notice(recipient.to, NoticeKind::delayed);
}

void take_reply(Recipient& recipient, const Outcome& outcome) {
    recipient.reply = {outcome.reply.code, clean_text(outcome.reply.enhanced, 16),
                       clean_text(outcome.reply.text)};
    recipient.server = clean_text(outcome.server, 300);
}

}  // namespace

bool can_tell(const Entry& entry, const Recipient& recipient) {
    // Both: who forwards a notice forwards it from <>.
    return !entry.envelope.sender.empty() && !recipient.sender.empty();
}

void fail(const Entry& entry, Recipient& recipient) {
    recipient.notice_due = can_tell(entry, recipient) && wants_notice(recipient.to, NoticeKind::failed);
    recipient.state = recipient.notice_due ? State::failed : State::bounced;
    recipient.next = Time();
}

Event take_outcome(const Entry& entry, Recipient& recipient, const Outcome& outcome, Time now,
                   const Patience& patience) {
    ++recipient.attempts;
    take_reply(recipient, outcome);
    switch (outcome.kind) {
        case Outcome::Kind::delivered:
            recipient.state = State::delivered;
            recipient.next = Time();
            recipient.notice_due = !outcome.relays_dsn && can_tell(entry, recipient) &&
                                   wants_notice(recipient.to, NoticeKind::relayed);
            return Event::delivered;
        case Outcome::Kind::failed:
            fail(entry, recipient);
            return Event::failed;
        case Outcome::Kind::deferred:
            break;
    }
    if (now - entry.arrived >= patience.give_up_after) {
        expire(entry, recipient);
        return Event::expired;
    }
    if (delay_is_due(entry, recipient, now, patience)) recipient.notice_due = true;
    return Event::deferred;
}

std::optional<Event> take_unreachable(const Entry& entry, Recipient& recipient, const Outcome& why, Time now,
                                      const Patience& patience) {
    if (now - entry.arrived >= patience.give_up_after) {
        take_reply(recipient, why);
        expire(entry, recipient);
        return Event::expired;
    }
    if (!delay_is_due(entry, recipient, now, patience)) return std::nullopt;
    take_reply(recipient, why);
    recipient.notice_due = true;
    return Event::deferred;
}

NoticeKind notice_kind(const Recipient& recipient) {
    if (recipient.state == State::waiting) return NoticeKind::delayed;
    if (recipient.state != State::delivered) return NoticeKind::failed;
    return recipient.attempts == 0 ? NoticeKind::delivered : NoticeKind::relayed;
}

void note_told(Recipient& recipient, NoticeKind kind) {
    if (kind == NoticeKind::delayed) recipient.delay_told = true;
    // Meanwhile it may have got on, and something else is to be told.
    if (!recipient.notice_due || notice_kind(recipient) != kind) return;
    recipient.notice_due = false;
    if (kind == NoticeKind::failed) recipient.state = State::bounced;
}

}  // namespace pier::queue
