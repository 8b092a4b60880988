// What administrators see and do.
#include <algorithm>
#include <future>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "queue/mail_queue.h"
#include "queue/slots.h"
#include "wire/ascii.h"

namespace pier::queue {
namespace {

Error no_message(Id id) {
    return {ErrorKind::not_found, fmt::format("there is no message {} in the queue", to_text(id))};
}

bool contains(const smtp::Address& address, const std::string& lower_part) {
    return lower_part.empty() ||
           wire::ascii_lower(address.local + '@' + address.domain).find(lower_part) != std::string::npos;
}

bool matches(const Entry& entry, const MailQueue::Filter& filter) {
    if (filter.held && !entry.held) return false;
    if (!contains(entry.envelope.sender, filter.sender)) return false;
    if (filter.recipient.empty() && filter.destination.empty() && !filter.state) return true;
    return std::any_of(entry.recipients.begin(), entry.recipients.end(), [&](const Recipient& recipient) {
        if (!contains(recipient.to.address, filter.recipient)) return false;
        if (filter.state && recipient.state != *filter.state) return false;
        return filter.destination.empty() ||
               (!recipient.finished() && destination_of(recipient.to.address) == filter.destination);
    });
}

}  // namespace

// The entry as it is now, without pinning it.
Result<Entry> MailQueue::peek(std::uint64_t id) const {
    std::string key;
    {
        const std::lock_guard lock(mutex_);
        const auto at = items_.find(id);
        if (at == items_.end() || at->second.removing) return no_message(Id{id});
        if (at->second.entry) return *at->second.entry;
        key = slot_key(at->second.slot);
    }
    const auto record = store_.get(store::DirectoryKind::queue, key);
    if (!record) return record.error();
    if (!*record) return no_message(Id{id});
    auto entry = read_entry((*record)->value);
    if (entry && static_cast<std::uint64_t>(entry->id) != id) return no_message(Id{id});
    return entry;
}

void MailQueue::show_destination_state(Entry& entry) const {
    const std::lock_guard lock(mutex_);
    const Time now = clock_();
    for (Recipient& recipient : entry.recipients) {
        if (recipient.state != State::waiting) continue;
        const std::string destination = settings_.one_destination.empty()
                                            ? destination_of(recipient.to.address)
                                            : settings_.one_destination;
        const auto why = unreachable_.find(destination);
        const auto until = schedule_.left_alone_until(destination, now);
        if (why == unreachable_.end() || !until) continue;
        recipient.next = std::max(recipient.next, *until);
        recipient.reply = why->second.reply;
        recipient.server = why->second.server;
    }
}

Result<MailQueue::Listing> MailQueue::list(const Filter& given) const {
    Filter filter = given;
    for (std::string* text : {&filter.sender, &filter.recipient, &filter.destination})
        *text = wire::ascii_lower(*text);
    std::vector<std::pair<Time, std::uint64_t>> order;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, item] : items_)
            if (!item.removing) order.emplace_back(item.arrived, id);
    }
    std::sort(order.begin(), order.end());
    Listing listing;
    for (const auto& [arrived, id] : order) {
        auto entry = peek(id);
        if (!entry && entry.error().kind == ErrorKind::not_found) continue;  // it has just gone
        if (!entry) return entry.error();
        if (!matches(*entry, filter)) continue;
        ++listing.matching;
        if (listing.entries.size() < filter.entries_max) listing.entries.push_back(std::move(*entry));
    }
    for (Entry& entry : listing.entries)
        show_destination_state(entry);
    return listing;
}

Result<Entry> MailQueue::show(Id id) const {
    auto entry = peek(static_cast<std::uint64_t>(id));
    if (entry) show_destination_state(*entry);
    return entry;
}

Result<void> MailQueue::retry(Id id) {
    {
        const std::lock_guard lock(mutex_);
        const Item* item = find(static_cast<std::uint64_t>(id));
        if (item == nullptr) return no_message(id);
        if (item->held)
            return Error{ErrorKind::invalid,
                         fmt::format("{} is on hold; \"pier queue release\" ends that", to_text(id))};
        schedule_.hasten(item->id, clock_());
    }
    open_lanes();
    return {};
}

std::uint64_t MailQueue::retry_all() {
    std::uint64_t messages = 0;
    {
        const std::lock_guard lock(mutex_);
        schedule_.hasten_all(clock_());
        messages = items_.size() - counts_.held;
    }
    open_lanes();
    return messages;
}

// Changes the message and waits until that is on disk.
Result<void> MailQueue::change(Id id, const std::function<Result<void>(Item&, Time)>& what) {
    std::promise<Result<void>> promise;
    auto saved = promise.get_future();
    {
        Lock lock(mutex_);
        Item* item = pin(lock, static_cast<std::uint64_t>(id));
        if (item == nullptr) return no_message(id);
        auto changed = what(*item, clock_());
        if (changed)
            finish_or_save(*item, [&promise](Result<void> result) { promise.set_value(std::move(result)); });
        unpin(*item);
        if (!changed) return changed;
    }
    open_lanes();
    return saved.get();
}

Result<void> MailQueue::hold(Id id) {
    return change(id, [this](Item& item, Time) -> Result<void> {
        if (!std::exchange(item.held, true)) ++counts_.held;
        item.entry->held = true;
        schedule_.remove(item.id);
        return {};
    });
}

Result<void> MailQueue::release(Id id) {
    return change(id, [this](Item& item, Time now) -> Result<void> {
        if (item.entry->recipients.empty())
            return Error{ErrorKind::invalid,
                         "nobody knows who was to get this message; it can only be dropped"};
        if (std::exchange(item.held, false)) --counts_.held;
        item.entry->held = false;
        schedule_parts(item, now);
        schedule_.hasten(item.id, now);
        return {};
    });
}

Result<void> MailQueue::drop(Id id, Drop how) {
    return change(id, [this, how](Item& item, Time now) -> Result<void> {
        if (how == Drop::silently) {
            item.dropping = true;
        } else {
            if (!item.taken.empty())
                return Error{ErrorKind::busy, "the message is being sent at this moment; try again"};
            fail_all(*item.entry, now);
            // Without anybody to tell that was all.
            item.dropping = item.entry->finished() || item.entry->recipients.empty();
        }
        if (std::exchange(item.held, false)) --counts_.held;
        item.entry->held = false;
        schedule_.remove(item.id);
        if (item.dropping) notices_due_.erase(item.id);
        log::info("queue.dropped", {{"id", to_text(Id{item.id})}, {"sender_is_told", how == Drop::tell}});
        return {};
    });
}

void MailQueue::fail_all(Entry& entry, Time now) {
    Outcome outcome;
    outcome.kind = Outcome::Kind::failed;
    outcome.reply = {554, "5.7.0", "an administrator has taken the message out of the queue"};
    for (Recipient& recipient : entry.recipients) {
        if (recipient.state != State::waiting) continue;
        const Event event = take_outcome(entry, recipient, outcome, now, settings_.patience);
        log_event(entry, recipient, event, "", now);
    }
}

}  // namespace pier::queue
