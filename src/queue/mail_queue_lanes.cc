// Messages on their way: lanes ask for them and tell what became of them.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "queue/mail_queue.h"
#include "queue/skipping_body.h"

namespace pier::queue {
namespace {

constexpr std::size_t unrecorded_max = 256;  // outcomes that the store has not answered yet
constexpr std::chrono::seconds pause_after_trouble{60};

Outcome no_outcome() {
    Outcome outcome;
    outcome.reply = {451, "4.4.2", "the connection ended before there was an answer"};
    return outcome;
}

}  // namespace

class MailQueue::QueueLane final : public Lane {
  public:
    QueueLane(MailQueue& queue, std::string where) : destination(std::move(where)), queue_(queue) {}
    std::optional<Job> next() override { return queue_.next_job(*this); }
    void done(const Job&, std::vector<Outcome> outcomes) override { queue_.job_done(*this, outcomes); }
    void failed(const Outcome& why) override { queue_.lane_failed(*this, why); }
    void closed() override { queue_.lane_closed(*this); }

    const std::string destination;
    bool asked = false, has_failed = false;  // under the queue's lock
    std::optional<Taken> taken;

  private:
    MailQueue& queue_;
};

// As many as may be. Without the lock.
void MailQueue::open_lanes() {
    const std::shared_lock using_transport(transport_mutex_);
    while (transport_) {
        std::shared_ptr<QueueLane> lane;
        {
            const std::lock_guard lock(mutex_);
            auto destination = may_send() ? schedule_.take_lane(clock_()) : std::nullopt;
            if (!destination) return;
            lane = std::make_shared<QueueLane>(*this, std::move(*destination));
        }
        transport_->open(lane->destination, lane);
    }
}

void MailQueue::wait_for_records(Lock& lock) {
    changed_.wait(lock, [this] { return unrecorded_ < unrecorded_max || !sending_; });
}

std::optional<Job> MailQueue::next_job(QueueLane& lane) {
    Lock lock(mutex_);
    std::optional<Job> job;
    while (!job) {
        wait_for_records(lock);
        const Time now = clock_();
        const auto key = may_send() ? schedule_.take_part(lane.destination, now) : std::nullopt;
        if (!std::exchange(lane.asked, true)) schedule_.lane_asks(lane.destination, now);
        if (!key) break;
        job = make_job(lock, lane, *key);
    }
    return job;
}

// Absent: there is nothing to be done for that part, or not now.
std::optional<Job> MailQueue::make_job(Lock& lock, QueueLane& lane, PartKey key) {
    Item* item = pin(lock, key.message);
    if (item == nullptr) return std::nullopt;
    const auto parts = parts_of(*item->entry, settings_.one_destination);
    Taken taken{key, {}};
    if (key.part < parts.size() && !item->held && !item->dropping)
        for (const std::size_t i : parts[key.part].recipients)
            if (item->entry->recipients[i].state == State::waiting) taken.recipients.push_back(i);
    if (taken.recipients.empty()) {
        unpin(*item);
        return std::nullopt;
    }
    item->taken.push_back(key.part);
    Job job;
    job.id = to_text(Id{item->id});
    job.envelope = item->entry->envelope;
    job.envelope.sender = item->entry->recipients[taken.recipients.front()].sender;
    for (const std::size_t i : taken.recipients)
        job.envelope.recipients.push_back(item->entry->recipients[i].to);
    const std::uint64_t skipped = item->entry->skipped_octets;
    const store::Uid uid = item->uid;
    lane.taken = std::move(taken);

    lock.unlock();
    auto body = store_.body(mailbox_, uid);
    lock.lock();
    if (body) {
        job.body = skipping_body(std::move(*body), skipped);
        return job;
    }
    lane.taken.reset();
    std::erase(item->taken, key.part);
    const bool passes = body.error().kind == ErrorKind::busy || body.error().kind == ErrorKind::io;
    if (!passes) set_aside(*item, body.error());
    const Time now = clock_();
    end_part(*item, key, lane.destination, now + pause_after_trouble, now);
    return std::nullopt;
}

void MailQueue::note_unreachable(const std::string& destination, const Outcome& why, Time now) {
    schedule_.unreachable(destination, now);
    unreachable_[destination] = why;
    const auto until = schedule_.left_alone_until(destination, now);
    log::info("queue.unreachable",
              {{"destination", destination},
               {"server", why.server},
               {"reply", fmt::format("{} {} {}", why.reply.code, why.reply.enhanced, why.reply.text)},
               {"until", to_rfc3339(until.value_or(now))}});
}

void MailQueue::job_done(QueueLane& lane, const std::vector<Outcome>& outcomes) {
    Lock lock(mutex_);
    if (!lane.taken) return;
    const Taken taken = std::move(*std::exchange(lane.taken, std::nullopt));
    Item& item = items_.at(taken.key.message);
    Entry& entry = *item.entry;
    const Time now = clock_();
    bool reached = false;
    const Outcome* unreached = nullptr;
    std::uint32_t attempts = 0;
    for (std::size_t n = 0; n < taken.recipients.size(); ++n) {
        static const Outcome missing = no_outcome();
        const Outcome& outcome = n < outcomes.size() ? outcomes[n] : missing;
        Recipient& recipient = entry.recipients[taken.recipients[n]];
        const Event event = take_outcome(entry, recipient, outcome, now, settings_.patience);
        log_event(entry, recipient, event, outcome.tls, now);
        if (!outcome.server.empty())
            reached = true;
        else if (outcome.kind == Outcome::Kind::deferred)
            unreached = &outcome;
        if (recipient.state == State::waiting) attempts = std::max(attempts, recipient.attempts);
    }
    if (reached) {
        schedule_.reached(lane.destination, now);
        unreachable_.erase(lane.destination);
    } else if (unreached != nullptr) {
        note_unreachable(lane.destination, *unreached, now);
    }
    const Time due = now + schedule_.delay_after(attempts);
    for (const std::size_t i : taken.recipients)
        if (entry.recipients[i].state == State::waiting) entry.recipients[i].next = due;
    std::erase(item.taken, taken.key.part);
    end_part(item, taken.key, lane.destination, due, now);
    if (!reached && unreached != nullptr) destination_failed(lock, lane.destination, *unreached);
}

// A part that a lane had: it waits again, or that was all. The item is not pinned for it any more.
void MailQueue::end_part(Item& item, PartKey key, const std::string& destination, Time due, Time now) {
    const auto parts = parts_of(*item.entry, settings_.one_destination);
    const auto& recipients = parts.at(key.part).recipients;
    const bool waits = std::any_of(recipients.begin(), recipients.end(), [&](std::size_t i) {
        return item.entry->recipients[i].state == State::waiting;
    });
    if (waits && !item.held && !item.dropping) schedule_.add(key, destination, item.source, due, now);
    finish_or_save(item);
    unpin(item);
}

void MailQueue::lane_failed(QueueLane& lane, const Outcome& why) {
    Lock lock(mutex_);
    lane.has_failed = true;
    const Time now = clock_();
    if (!std::exchange(lane.asked, true)) schedule_.lane_asks(lane.destination, now);
    if (why.kind != Outcome::Kind::failed) note_unreachable(lane.destination, why, now);
    destination_failed(lock, lane.destination, why);
}

// What that means for those that wait for it. Most are left as they are: thousands of messages for one dead
// server are not written anew each time it is tried.
void MailQueue::destination_failed(Lock& lock, const std::string& destination, const Outcome& why) {
    const bool for_good = why.kind == Outcome::Kind::failed;
    const auto& patience = settings_.patience;
    for (const PartKey key : schedule_.parts_for(destination)) {
        wait_for_records(lock);
        const Time now = clock_();
        Item* item = find(key.message);
        if (item == nullptr) continue;
        const auto age = now - item->arrived;
        const bool told = patience.delay_notice_after.count() == 0 || age < patience.delay_notice_after;
        if (!for_good && told && age < patience.give_up_after) continue;
        item = pin(lock, key.message);
        if (item == nullptr) continue;
        Entry& entry = *item->entry;
        const auto parts = parts_of(entry, settings_.one_destination);
        bool changed = false, waits = false;
        // A lane may have taken it while the lock was given up.
        const bool taken = std::find(item->taken.begin(), item->taken.end(), key.part) != item->taken.end();
        for (const std::size_t i : parts.at(key.part).recipients) {
            Recipient& recipient = entry.recipients[i];
            if (recipient.state != State::waiting || taken) continue;
            const auto event = for_good ? take_outcome(entry, recipient, why, now, patience)
                                        : take_unreachable(entry, recipient, why, now, patience);
            if (event) log_event(entry, recipient, *event, why.tls, now);
            changed = changed || event.has_value();
            waits = waits || recipient.state == State::waiting;
        }
        if (changed && !waits) schedule_.remove(key);
        if (changed) finish_or_save(*item);
        unpin(*item);
    }
}

void MailQueue::lane_closed(QueueLane& lane) {
    {
        Lock lock(mutex_);
        const Time now = clock_();
        // One that never did anything would be opened again and again.
        if (!std::exchange(lane.asked, true)) {
            schedule_.lane_asks(lane.destination, now);
            if (sending_ && !lane.has_failed) note_unreachable(lane.destination, no_outcome(), now);
        }
        schedule_.lane_closed(lane.destination, now);
        if (lane.taken) {
            const Taken taken = std::move(*std::exchange(lane.taken, std::nullopt));
            Item& item = items_.at(taken.key.message);
            std::erase(item.taken, taken.key.part);
            end_part(item, taken.key, lane.destination, now + pause_after_trouble, now);
        }
    }
    open_lanes();
}

}  // namespace pier::queue
