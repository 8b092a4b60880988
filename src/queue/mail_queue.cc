// Taking in; starting, ticking, stopping.
#include "queue/mail_queue.h"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "base/random.h"
#include "base/utf8.h"
#include "queue/slots.h"

namespace pier::queue {
namespace {

constexpr std::chrono::minutes tidy_pause{1};

double random_chance() {
    std::uint32_t number = 0;
    random_bytes({reinterpret_cast<unsigned char*>(&number), sizeof number});
    return static_cast<double>(number) / 4294967296.0;
}

std::optional<Error> unfit(const Entry& entry) {
    const auto plain = [](const std::string& text) { return is_utf8(text); };
    const auto good = [&](const smtp::Address& address) {
        return plain(address.local) && plain(address.domain);
    };
    if (!good(entry.envelope.sender) || !plain(entry.envelope.id) || !plain(entry.account))
        return Error{ErrorKind::invalid, "the sender is no address"};
    for (const Recipient& recipient : entry.recipients)
        if (!good(recipient.to.address) || recipient.to.address.domain.empty() || !good(recipient.sender) ||
            !plain(recipient.to.original))
            return Error{ErrorKind::invalid, "a recipient is no address with a domain"};
    return std::nullopt;
}

}  // namespace

MailQueue::MailQueue(store::Store& store, QueueSettings settings, Clock clock, Chance chance)
    : store_(store),
      settings_(std::move(settings)),
      clock_(std::move(clock)),
      schedule_(settings_.schedule, chance ? std::move(chance) : Chance(random_chance)) {}

MailQueue::~MailQueue() {
    stop();
}

void MailQueue::start(std::unique_ptr<Transport> transport, LocalNotices local) {
    {
        const std::lock_guard lock(mutex_);
        local_ = std::move(local);
        sending_ = transport != nullptr;
    }
    {
        const std::unique_lock lock(transport_mutex_);
        transport_ = std::move(transport);
    }
    open_lanes();
}

void MailQueue::tick() {
    const Time now = clock_();
    {
        const std::lock_guard lock(mutex_);
        retry_records(now);
        if (now - tidied_ >= tidy_pause) {
            tidied_ = now;
            schedule_.tidy_up(now);
            std::erase_if(unreachable_,
                          [&](const auto& one) { return schedule_.parts_for(one.first).empty(); });
        }
    }
    make_notices();
    open_lanes();
}

void MailQueue::stop() {
    {
        const std::lock_guard lock(mutex_);
        accepting_ = sending_ = false;
        changed_.notify_all();
    }
    std::unique_ptr<Transport> transport;
    {
        const std::unique_lock lock(transport_mutex_);
        transport = std::move(transport_);
    }
    transport.reset();
    wait_for_store();
}

void MailQueue::wait_for_store() {
    Lock lock(mutex_);
    changed_.wait(lock, [this] { return operations_ == 0; });
}

void MailQueue::end_operation(Lock& lock) {
    --operations_;
    // Under the lock: who waits for the last one may destroy the queue.
    changed_.notify_all();
    lock.unlock();
}

// What the store has refused is written again, as it is now. Under the lock.
void MailQueue::retry_records(Time) {
    for (const auto& [id, removal] : std::exchange(unrecorded_again_, {})) {
        const auto at = items_.find(id);
        if (at == items_.end()) continue;
        if (removal) {
            remove(at->second);
            continue;
        }
        if (!at->second.removing) save(at->second);
        unpin(at->second);  // save() has its own
    }
}

std::uint32_t MailQueue::new_slot() {
    if (free_slots_.empty()) return slots_++;
    std::pop_heap(free_slots_.begin(), free_slots_.end(), std::greater<>());
    const std::uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    return slot;
}

Id MailQueue::new_id() {
    std::uint64_t id = 0;
    do
        random_bytes({reinterpret_cast<unsigned char*>(&id), sizeof id});
    while (id == 0 || items_.contains(id));
    return Id{id};
}

// ---- adding ----

// A message on its way in: its record and its octets are with the store.
struct MailQueue::Adding {
    Entry entry;
    std::uint32_t slot = 0;
    std::vector<store::MailboxId> targets;  // with the queue's own, the last
    store::Done<std::vector<Result<store::Appended>>> done;
    std::optional<Result<std::uint64_t>> recorded;
    std::optional<Result<std::vector<Result<store::Appended>>>> appended;
    std::size_t taking_back = 0;  // what the store has not answered yet

    bool stored() const {
        return appended && *appended && !(*appended)->empty() && (*appended)->back().has_value();
    }
};

void MailQueue::append(store::NewMessage message, NewOutgoing outgoing,
                       store::Done<std::vector<Result<store::Appended>>> done) {
    append_for(std::move(message), std::move(outgoing), true, std::move(done));
}

void MailQueue::append_for(store::NewMessage message, NewOutgoing outgoing, bool within_limit,
                           store::Done<std::vector<Result<store::Appended>>> done) {
    if (outgoing.recipients.empty()) return store_.append(std::move(message), std::move(done));
    auto adding = std::make_shared<Adding>();
    Entry& entry = adding->entry;
    entry.envelope = std::move(outgoing.envelope);
    entry.envelope.recipients.clear();
    entry.account = std::move(outgoing.account);
    entry.arrived = clock_();
    const std::uint64_t octets = message.spool->octets() + message.prefix.size();
    entry.skipped_octets = std::min<std::uint64_t>(outgoing.local_octets, octets);
    entry.octets = octets - entry.skipped_octets;
    for (Outgoing& one : outgoing.recipients) {
        Recipient& recipient = entry.recipients.emplace_back();
        recipient.to = std::move(one.recipient);
        recipient.sender = std::move(one.sender);
        if (!one.delivered_here) continue;
        recipient.state = State::delivered;
        recipient.notice_due = true;
    }
    adding->done = std::move(done);
    if (auto bad = unfit(entry)) return adding->done(std::move(*bad));

    Lock lock(mutex_);
    std::optional<Error> refusal;
    if (!accepting_) {
        refusal = Error{ErrorKind::stopped, "the queue has stopped"};
    } else if (within_limit && items_.size() + adding_ >= settings_.messages_max) {
        ++counts_.refused;
        refusal = Error{ErrorKind::busy, fmt::format("there are {} messages in the queue; no more are taken "
                                                     "(queue.messages_max)",
                                                     settings_.messages_max)};
    }
    std::string value;
    if (!refusal) {
        entry.id = new_id();
        value = write_entry(entry);
        if (value.size() > new_entry_octets_max)
            refusal = Error{ErrorKind::invalid, "too many recipients with very long addresses"};
    }
    if (refusal) {
        lock.unlock();
        return adding->done(std::move(*refusal));
    }
    ++adding_;
    adding->slot = new_slot();
    for (const store::Target& target : message.targets)
        adding->targets.push_back(target.mailbox);
    store::Target own;
    own.mailbox = mailbox_;
    own.uidl = to_text(entry.id);
    adding->targets.push_back(mailbox_);
    message.targets.push_back(std::move(own));
    message.all_or_none = true;

    // Both at once, so that they share a sync; in this order, so that no message is there without its record.
    begin_operation();
    begin_operation();
    store_.put({store::DirectoryKind::queue, slot_key(adding->slot), static_cast<std::uint64_t>(account_),
                std::move(value)},
               [this, adding](Result<std::uint64_t> result) {
                   Lock inner(mutex_);
                   adding->recorded = std::move(result);
                   finish_adding(inner, adding);
               });
    store_.append(std::move(message), [this, adding](Result<std::vector<Result<store::Appended>>> result) {
        Lock inner(mutex_);
        adding->appended = std::move(result);
        finish_adding(inner, adding);
    });
}

void MailQueue::finish_adding(Lock& lock, const std::shared_ptr<Adding>& adding) {
    if (!adding->recorded || !adding->appended) return end_operation(lock);
    if (!*adding->recorded || !adding->stored()) {
        lock.unlock();
        take_back(adding);
        lock.lock();
        return end_operation(lock);
    }
    --adding_;
    ++counts_.added;
    const Entry& entry = adding->entry;
    log::info("queue.added", {{"id", to_text(entry.id)},
                              {"sender", entry.envelope.sender.text()},
                              {"recipients", entry.recipients.size()},
                              {"octets", entry.octets},
                              {"account", entry.account}});
    take_up(std::move(adding->entry), adding->slot, (*adding->appended)->back()->uid);
    lock.unlock();
    (*adding->appended)->pop_back();
    adding->done(std::move(*adding->appended));
    open_lanes();
    lock.lock();
    end_operation(lock);
}

// One of the two failed: the other goes, and then it is told.
void MailQueue::take_back(const std::shared_ptr<Adding>& adding) {
    const auto one_less = [this, adding](bool good, const Error& error) {
        if (!good)
            log::error("queue.not_taken_back", {{"id", to_text(adding->entry.id)}, {"reason", error.text}});
        Lock lock(mutex_);
        if (--adding->taking_back != 0) return end_operation(lock);
        --adding_;
        free_slots_.push_back(adding->slot);
        std::push_heap(free_slots_.begin(), free_slots_.end(), std::greater<>());
        lock.unlock();
        Result<std::vector<Result<store::Appended>>> result = std::move(*adding->appended);
        if (!*adding->recorded) {
            result = adding->recorded->error();
        } else if (result) {
            // Nobody has asked for the queue's own target: its refusal is everybody's.
            auto own = std::move(result->back());
            result->pop_back();
            if (result->empty()) result = own.error();
        }
        adding->done(std::move(result));
        lock.lock();
        end_operation(lock);
    };
    std::vector<std::pair<store::MailboxId, store::Uid>> stored;
    if (*adding->appended)
        for (std::size_t i = 0; i < adding->targets.size(); ++i)
            if (const auto& one = (**adding->appended)[i]) stored.emplace_back(adding->targets[i], one->uid);
    const bool recorded = adding->recorded->has_value();
    {
        const std::lock_guard lock(mutex_);
        adding->taking_back = stored.size() + (recorded ? 1 : 0) + 1;
        operations_ += adding->taking_back;
    }
    for (const auto& [mailbox, uid] : stored)
        store_.expunge(mailbox, {uid}, [one_less](Result<std::uint64_t> result) {
            one_less(result.has_value(), result ? Error() : result.error());
        });
    if (recorded)
        store_.erase(store::DirectoryKind::queue, slot_key(adding->slot), [one_less](Result<void> result) {
            one_less(result.has_value(), result ? Error() : result.error());
        });
    one_less(true, {});
}

MailQueue::Counts MailQueue::counts() const {
    const std::lock_guard lock(mutex_);
    Counts counts = counts_;
    counts.messages = items_.size();
    counts.waiting_parts = schedule_.parts();
    counts.destinations = schedule_.destinations();
    counts.unreachable = unreachable_.size();
    counts.connections = schedule_.lanes();
    return counts;
}

std::optional<Time> MailQueue::oldest() const {
    const std::lock_guard lock(mutex_);
    std::optional<Time> oldest;
    for (const auto& [id, item] : items_)
        if (!item.held && !item.removing && (!oldest || item.arrived < *oldest)) oldest = item.arrived;
    return oldest;
}

}  // namespace pier::queue
