// A message in memory and its record.
#include <algorithm>
#include <functional>
#include <utility>

#include "base/log.h"
#include "queue/mail_queue.h"
#include "queue/slots.h"

namespace pier::queue {
namespace {

std::uint32_t source_of(const Entry& entry) {
    const std::string name = entry.account.empty() ? entry.envelope.sender.text() : entry.account;
    return static_cast<std::uint32_t>(std::hash<std::string>()(name));
}

bool any_waiting(const Entry& entry, const Part& part) {
    return std::any_of(part.recipients.begin(), part.recipients.end(),
                       [&](std::size_t i) { return entry.recipients[i].state == State::waiting; });
}

}  // namespace

// A message that the store has: new, or found at the start. Under the lock, or before there are threads.
void MailQueue::take_up(Entry entry, std::uint32_t slot, store::Uid uid) {
    const auto id = static_cast<std::uint64_t>(entry.id);
    Item& item = items_[id];
    item.id = id;
    item.octets = entry.octets;
    item.arrived = entry.arrived;
    item.slot = slot;
    item.uid = uid;
    item.source = source_of(entry);
    item.held = entry.held;
    if (item.held) ++counts_.held;
    item.entry = std::make_unique<Entry>(std::move(entry));
    ++item.pins;
    if (item.entry->finished()) {
        remove(item);
    } else {
        if (std::any_of(item.entry->recipients.begin(), item.entry->recipients.end(),
                        [](const Recipient& r) { return r.notice_due; }))
            notices_due_.try_emplace(id);
        if (!item.held) schedule_parts(item, clock_());
    }
    unpin(item);
}

// All parts in which somebody waits and which no lane has.
void MailQueue::schedule_parts(Item& item, Time now) {
    const auto parts = parts_of(*item.entry, settings_.one_destination);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto number = static_cast<std::uint32_t>(i);
        if (!any_waiting(*item.entry, parts[i]) ||
            std::find(item.taken.begin(), item.taken.end(), number) != item.taken.end())
            continue;
        Time due{};
        for (const std::size_t recipient : parts[i].recipients)
            due = std::max(due, item.entry->recipients[recipient].next);
        schedule_.add({item.id, number}, parts[i].destination, item.source, due, now);
    }
}

MailQueue::Item* MailQueue::find(std::uint64_t id) {
    const auto at = items_.find(id);
    return at == items_.end() || at->second.removing ? nullptr : &at->second;
}

// The message with its entry, which stays until unpin(). Null: it is not there (any more), or its record
// cannot be read. The lock is given up while the disk is read.
MailQueue::Item* MailQueue::pin(Lock& lock, std::uint64_t id) {
    while (true) {
        Item* item = find(id);
        if (item == nullptr) return nullptr;
        if (!item->entry) {
            const std::uint32_t version = item->version;
            const std::string key = slot_key(item->slot);
            lock.unlock();
            const auto record = store_.get(store::DirectoryKind::queue, key);
            auto entry =
                record && *record
                    ? read_entry((*record)->value)
                    : Result<Entry>(record ? Error{ErrorKind::corrupt, "it is not there"} : record.error());
            lock.lock();
            item = find(id);
            if (item == nullptr) return nullptr;
            // Somebody else has read it meanwhile, and may have changed it.
            if (!item->entry && item->version != version) continue;
            if (!item->entry) {
                if (!entry || static_cast<std::uint64_t>(entry->id) != id) {
                    set_aside(*item,
                              entry ? Error{ErrorKind::corrupt, "it is another message's"} : entry.error());
                    return nullptr;
                }
                item->entry = std::make_unique<Entry>(std::move(*entry));
            }
        }
        ++item->pins;
        return item;
    }
}

void MailQueue::unpin(Item& item) {
    if (--item.pins == 0) item.entry.reset();
}

// What cannot be sent because this machine fails it: nothing is lost, and somebody has to look.
void MailQueue::set_aside(Item& item, const Error& why) {
    log::error("queue.unreadable",
               {{"id", to_text(Id{item.id})},
                {"reason", why.text},
                {"hint", "the message is kept on hold; `pier store verify` looks at the whole store"}});
    schedule_.remove(item.id);
    notices_due_.erase(item.id);
    if (!item.held) ++counts_.held;
    item.held = true;
    if (item.entry) item.entry->held = true;
}

void MailQueue::set_unrecorded(Item& item, bool unrecorded) {
    if (item.unrecorded == unrecorded) return;
    item.unrecorded = unrecorded;
    if (unrecorded)
        ++unrecorded_items_;
    else
        --unrecorded_items_;
}

// Writes the record as it is now. Under the lock, so that the last one written is the latest.
void MailQueue::save(Item& item, OnSaved on_saved) {
    ++item.version;
    ++item.pins;
    ++unrecorded_;
    begin_operation();
    store_.put({store::DirectoryKind::queue, slot_key(item.slot), static_cast<std::uint64_t>(account_),
                write_entry(*item.entry)},
               [this, id = item.id, on_saved = std::move(on_saved)](const Result<std::uint64_t>& result) {
                   Lock lock(mutex_);
                   --unrecorded_;
                   Item& saved = items_.at(id);
                   set_unrecorded(saved, !result);
                   if (result || saved.removing) {
                       unpin(saved);
                   } else {
                       log::error("queue.not_recorded",
                                  {{"id", to_text(Id{id})},
                                   {"reason", result.error().text},
                                   {"hint", "nothing is sent until it can be; it is tried again"}});
                       // The pin stays: what is only in memory must not be forgotten.
                       if (!unrecorded_again_.try_emplace(id, false).second) unpin(saved);
                   }
                   lock.unlock();
                   if (on_saved) on_saved(result ? Result<void>() : Result<void>(result.error()));
                   lock.lock();
                   end_operation(lock);
               });
}

// The octets first, then the record: a record that is left over is removed at the next start, while octets
// without a record would have to be kept for ever. Octets that are gone are the statement that all is done:
// nothing else says so, so there is no moment at which a recipient could get the message again.
void MailQueue::remove(Item& item, OnSaved on_removed) {
    item.removing = true;
    schedule_.remove(item.id);
    notices_due_.erase(item.id);
    begin_operation();
    store_.expunge(
        mailbox_, {item.uid},
        [this, id = item.id, on_removed = std::move(on_removed)](const Result<std::uint64_t>& result) {
            Lock lock(mutex_);
            if (result) {
                const auto at = items_.find(id);
                set_unrecorded(at->second, false);
                if (at->second.held) --counts_.held;
                remove_record(at->second.slot);
                items_.erase(at);
            } else {
                log::error("queue.not_removed",
                           {{"id", to_text(Id{id})},
                            {"reason", result.error().text},
                            {"hint", "nothing is sent until it can be; it is tried again"}});
                set_unrecorded(items_.at(id), true);
                unrecorded_again_[id] = true;
            }
            lock.unlock();
            if (on_removed) on_removed(result ? Result<void>() : Result<void>(result.error()));
            lock.lock();
            end_operation(lock);
        });
}

void MailQueue::remove_record(std::uint32_t slot) {
    begin_operation();
    store_.erase(store::DirectoryKind::queue, slot_key(slot), [this, slot](const Result<void>& result) {
        Lock lock(mutex_);
        if (!result)
            log::warning("queue.record_left", {{"record", slot_key(slot)}, {"reason", result.error().text}});
        free_slots_.push_back(slot);
        std::push_heap(free_slots_.begin(), free_slots_.end(), std::greater<>());
        end_operation(lock);
    });
}

// After a change of the entry.
void MailQueue::finish_or_save(Item& item, OnSaved on_saved) {
    const bool over = (item.dropping || item.entry->finished()) && item.taken.empty() && !item.noticing;
    if (over) return remove(item, std::move(on_saved));
    const bool tell =
        !item.dropping && std::any_of(item.entry->recipients.begin(), item.entry->recipients.end(),
                                      [](const Recipient& r) { return r.notice_due; });
    if (tell) notices_due_.try_emplace(item.id);
    save(item, std::move(on_saved));
}

void MailQueue::log_event(const Entry& entry, const Recipient& recipient, Event event, const std::string& tls,
                          Time now) {
    static constexpr std::string_view names[] = {"queue.delivered", "queue.deferred", "queue.failed",
                                                 "queue.expired"};
    std::uint64_t* const counted[] = {&counts_.delivered, &counts_.deferred, &counts_.failed,
                                      &counts_.expired};
    ++*counted[static_cast<std::size_t>(event)];
    const std::string reply =
        std::to_string(recipient.reply.code) + ' ' + recipient.reply.enhanced + ' ' + recipient.reply.text;
    const auto delay = std::chrono::duration_cast<std::chrono::seconds>(now - entry.arrived).count();
    log::info(names[static_cast<std::size_t>(event)], {{"id", to_text(entry.id)},
                                                       {"sender", entry.envelope.sender.text()},
                                                       {"recipient", recipient.to.address.text()},
                                                       {"server", recipient.server},
                                                       {"tls", tls},
                                                       {"reply", reply},
                                                       {"delay_s", delay}});
    if (recipient.state == State::bounced)
        log::warning("queue.nobody_told", {{"id", to_text(entry.id)},
                                           {"sender", entry.envelope.sender.text()},
                                           {"recipient", recipient.to.address.text()},
                                           {"hint", "the message has no sender, or he wants no notice"}});
}

}  // namespace pier::queue
