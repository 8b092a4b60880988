// Telling senders. A notice is on disk before the record says that its recipient's sender has been told: a
// crash between the two tells him twice.
#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "queue/mail_queue.h"
#include "queue/skipping_body.h"

namespace pier::queue {
namespace {

constexpr std::size_t notices_per_tick = 200;
constexpr std::chrono::seconds pause_after_failure{60};

std::string unique_text() {
    std::string text;
    while (text.size() < 20)
        for (const char c : random_text(20))
            if (c != '-' && c != '_') text += c;
    return text;
}

// Said once and for all: asked again, it would be the same.
bool is_final(const Error& error) {
    return error.kind == ErrorKind::not_found || error.kind == ErrorKind::over_quota ||
           error.kind == ErrorKind::invalid;
}

}  // namespace

void MailQueue::make_notices() {
    std::vector<std::uint64_t> ids;
    {
        const std::lock_guard lock(mutex_);
        const Time now = clock_();
        for (auto at = notices_due_.begin(); at != notices_due_.end() && ids.size() < notices_per_tick;) {
            const auto next = std::next(at);
            if (at->second <= now) {
                ids.push_back(at->first);
                notices_due_.erase(at);
            }
            at = next;
        }
    }
    for (const std::uint64_t id : ids)
        make_notice(id);
}

void MailQueue::make_notice(std::uint64_t id) {
    Lock lock(mutex_);
    Item* item = pin(lock, id);
    if (item == nullptr) return;
    NoticeFacts facts;
    bool any = false;
    for (std::size_t i = 0; i < item->entry->recipients.size() && !item->noticing; ++i) {
        const Recipient& recipient = item->entry->recipients[i];
        if (!recipient.notice_due) continue;
        if (!any) facts.kind = notice_kind(recipient);
        any = true;
        if (notice_kind(recipient) == facts.kind) facts.recipients.push_back(i);
    }
    if (!any) return unpin(*item);
    item->noticing = true;
    const Entry entry = *item->entry;
    const store::Uid uid = item->uid;
    lock.unlock();

    facts.now = clock_();
    facts.given_up = entry.arrived + settings_.patience.give_up_after;
    facts.unique = unique_text();
    const auto original =
        original_of(uid, entry.skipped_octets, original_octets_needed(entry, facts.kind, settings_.notice));
    if (!original)
        log::error("queue.notice_without_original",
                   {{"id", to_text(entry.id)}, {"reason", original.error().text}});
    Notice notice = write_notice(entry, facts, original ? *original : std::string(), settings_.notice);
    lock.lock();
    begin_operation();
    lock.unlock();
    send_notice(std::move(notice),
                [this, id, kind = facts.kind, recipients = facts.recipients](const Result<void>& result) {
                    notice_sent(id, kind, recipients, result);
                });
}

Result<std::string> MailQueue::original_of(store::Uid uid, std::uint64_t skipped, std::size_t octets) const {
    auto whole = store_.body(mailbox_, uid);
    if (!whole) return whole.error();
    const auto body = skipping_body(std::move(*whole), skipped);
    if (auto good = body->verify(store::Wait::may_block); !good) return good.error();
    std::string text(static_cast<std::size_t>(std::min<std::uint64_t>(octets, body->octets())), '\0');
    std::size_t done = 0;
    while (done < text.size()) {
        const auto n = body->read(done, std::span(text).subspan(done), store::Wait::may_block);
        if (!n) return n.error();
        if (*n == 0) break;
        done += *n;
    }
    text.resize(done);
    return text;
}

void MailQueue::send_notice(Notice notice, store::Done<void> done) {
    auto spool = store_.new_spool();
    if (auto written = spool->write(notice.octets); !written) return done(written.error());
    const smtp::Address sender = notice.envelope.recipients.front().address;
    if (local_.is_here && local_.is_here(sender))
        return local_.deliver(std::move(notice.envelope), std::move(spool), std::move(done));
    store::NewMessage message;
    message.spool = std::move(spool);
    message.internal_date = clock_();
    NewOutgoing outgoing;
    outgoing.recipients.push_back({notice.envelope.recipients.front(), smtp::Address()});
    outgoing.envelope = std::move(notice.envelope);
    append_for(std::move(message), std::move(outgoing), false,
               [done = std::move(done)](const Result<std::vector<Result<store::Appended>>>& result) {
                   done(result ? Result<void>() : Result<void>(result.error()));
               });
}

void MailQueue::notice_sent(std::uint64_t id, NoticeKind kind, const std::vector<std::size_t>& recipients,
                            const Result<void>& result) {
    Lock lock(mutex_);
    Item& item = items_.at(id);
    item.noticing = false;
    const std::string sender = item.entry->envelope.sender.text();
    if (!result && !is_final(result.error())) {
        log::warning("queue.notice_delayed",
                     {{"id", to_text(Id{id})}, {"sender", sender}, {"reason", result.error().text}});
        notices_due_[id] = clock_() + pause_after_failure;
        if (item.dropping) finish_or_save(item);
    } else {
        if (result) {
            ++counts_.notices;
            log::info("queue.notice", {{"id", to_text(Id{id})},
                                       {"sender", sender},
                                       {"kind", to_string(kind)},
                                       {"recipients", recipients.size()}});
        } else {
            log::error("queue.notice_lost", {{"id", to_text(Id{id})},
                                             {"sender", sender},
                                             {"reason", result.error().text},
                                             {"hint",
                                              "the sender cannot be told that his message was not "
                                              "delivered"}});
        }
        for (const std::size_t i : recipients)
            note_told(item.entry->recipients.at(i), kind);
        finish_or_save(item);
    }
    unpin(item);
    end_operation(lock);
}

}  // namespace pier::queue
