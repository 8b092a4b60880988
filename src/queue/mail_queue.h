// The queue at work: takes messages in (queue.h), decides when each is tried (schedule.h), has a transport
// carry them (transport.h), keeps what became of each recipient (entry.h), and tells senders (notice.h).
//
// In the store: a mailbox of an account id that is nobody's holds the octets; the record of each message
// (DirectoryKind::queue) is written before the message and removed behind it. So a record without a message
// was never acknowledged, or all is done; and no message is ever without its record. A record's key is a
// number that is used again, because the store remembers the keys of erased records for ever.
//
// In memory: about 400 octets for each message, whatever its size; its record is read when it is tried.
//
// Threads: any; one lock. tick() and the functions for administrators wait for the disk, and so does a lane's
// next(). The store outlives the queue, and what LocalNotices needs outlives its stop().
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "queue/entry.h"
#include "queue/notice.h"
#include "queue/progress.h"
#include "queue/queue.h"
#include "queue/schedule.h"
#include "queue/transport.h"
#include "store/store.h"

namespace pier::queue {

struct QueueSettings {
    ScheduleSettings schedule;
    NoticeSettings notice;
    Patience patience;
    std::size_t messages_max = 100'000;
    std::string one_destination{};  // a smarthost: everything goes there; empty: by domain
};

// Senders who have their mailbox here get their notices directly. Any thread.
struct LocalNotices {
    std::function<bool(const smtp::Address&)> is_here;  // empty: nobody is
    // Fails with not_found, over_quota or invalid when it will never be taken: then it is given up.
    std::function<void(smtp::Envelope, std::unique_ptr<store::Spool>, store::Done<void>)> deliver;
};

class MailQueue final : public Intake {
  public:
    MailQueue(store::Store& store, QueueSettings settings, Clock clock, Chance chance = {});
    ~MailQueue() override;  // stop()

    // Reads what is there. Once, before anything else; waits for the disk.
    Result<void> open();
    // Begins to send. Without a transport messages are kept.
    void start(std::unique_ptr<Transport> transport, LocalNotices local);
    // About once a second: what has become due, notices, what could not be recorded before.
    void tick();
    // Ends the transport and waits for what is under way. What comes in later fails with `stopped`.
    void stop();

    void append(store::NewMessage message, NewOutgoing outgoing,
                store::Done<std::vector<Result<store::Appended>>> done) override;

    // ---- for administrators ----

    struct Filter {
        // Part of the address, in any case; empty: all.
        std::string sender{}, recipient{};
        std::string destination{};     // the domain of one that is not finished; empty: all
        std::optional<State> state{};  // of some recipient
        bool held = false;             // only messages on hold
        std::size_t entries_max = 1000;
    };
    struct Listing {
        std::vector<Entry> entries;  // oldest first
        std::uint64_t matching = 0;  // that many there are in all
    };
    // Waiting recipients have the time at which they are really tried again, and why not before.
    Result<Listing> list(const Filter& filter) const;
    Result<Entry> show(Id id) const;  // not_found
    Result<void> retry(Id id);        // now, whatever was before
    std::uint64_t retry_all();        // gives how many messages wait
    Result<void> hold(Id id);         // not tried any more, and not given up, until release()
    Result<void> release(Id id);
    // Takes it out. Tell: the sender gets a bounce for those who have not got it.
    enum class Drop { silently, tell };
    Result<void> drop(Id id, Drop how);

    struct Counts {
        std::uint64_t messages = 0, held = 0, waiting_parts = 0;
        std::uint64_t destinations = 0, unreachable = 0, connections = 0;
        std::uint64_t added = 0, delivered = 0, deferred = 0, failed = 0, expired = 0, notices = 0;
        std::uint64_t refused = 0;  // because there were messages_max
    };
    Counts counts() const;
    // When the oldest came in, without those on hold; absent: none waits. Looks at all that are in memory.
    std::optional<Time> oldest() const;

    // Waits until the store has answered everything; for tests.
    void wait_for_store();

  private:
    using Lock = std::unique_lock<std::mutex>;
    // A message. The entry is there while it is pinned: a part of it is under way, or the store has not
    // answered.
    struct Item {
        std::uint64_t id = 0, octets = 0;
        Time arrived{};
        std::uint32_t slot = 0;  // of its record's key
        store::Uid uid = 0;
        std::uint32_t source = 0;
        std::uint32_t version = 0;  // of its record: goes up with each
        std::uint32_t pins = 0;
        bool held = false, dropping = false, removing = false, noticing = false;
        bool unrecorded = false;           // the store has refused what is known here
        std::vector<std::uint32_t> taken;  // parts that a lane has
        std::unique_ptr<Entry> entry;
    };
    struct Adding;
    class QueueLane;
    struct Taken {
        PartKey key;
        std::vector<std::size_t> recipients;  // indexes into the entry's
    };

    // mail_queue.cc
    void finish_adding(Lock& lock, const std::shared_ptr<Adding>& adding);
    void take_back(const std::shared_ptr<Adding>& adding);
    void append_for(store::NewMessage message, NewOutgoing outgoing, bool within_limit,
                    store::Done<std::vector<Result<store::Appended>>> done);
    std::uint32_t new_slot();
    Id new_id();
    void begin_operation() { ++operations_; }
    void end_operation(Lock& lock);
    void retry_records(Time now);

    // mail_queue_open.cc
    Result<void> open_mailbox();
    Result<void> read_messages();
    void take_up(Entry entry, std::uint32_t slot, store::Uid uid);
    Result<void> keep_without_record(std::uint64_t id, store::Uid uid, std::uint64_t octets);

    // mail_queue_items.cc
    Item* find(std::uint64_t id);
    Item* pin(Lock& lock, std::uint64_t id);
    void unpin(Item& item);
    using OnSaved = std::function<void(Result<void>)>;
    void save(Item& item, OnSaved on_saved = {});
    void remove(Item& item, OnSaved on_removed = {});
    void remove_record(std::uint32_t slot);
    void finish_or_save(Item& item, OnSaved on_saved = {});
    void schedule_parts(Item& item, Time now);
    void log_event(const Entry& entry, const Recipient& recipient, Event event, const std::string& tls,
                   Time now);

    // mail_queue_lanes.cc
    void open_lanes();
    std::optional<Job> next_job(QueueLane& lane);
    std::optional<Job> make_job(Lock& lock, QueueLane& lane, PartKey key);
    void set_aside(Item& item, const Error& why);
    void job_done(QueueLane& lane, const std::vector<Outcome>& outcomes);
    void end_part(Item& item, PartKey key, const std::string& destination, Time due, Time now);
    void lane_failed(QueueLane& lane, const Outcome& why);
    void lane_closed(QueueLane& lane);
    void destination_failed(Lock& lock, const std::string& destination, const Outcome& why);
    void note_unreachable(const std::string& destination, const Outcome& why, Time now);
    void wait_for_records(Lock& lock);
    // All that was told before is on disk, and more may be.
    bool may_send() const { return sending_ && unrecorded_items_ == 0; }
    void set_unrecorded(Item& item, bool unrecorded);

    // mail_queue_notices.cc
    void make_notices();
    void make_notice(std::uint64_t id);
    Result<std::string> original_of(store::Uid uid, std::uint64_t skipped, std::size_t octets) const;
    void send_notice(Notice notice, store::Done<void> done);
    void notice_sent(std::uint64_t id, NoticeKind kind, const std::vector<std::size_t>& recipients,
                     const Result<void>& result);

    // mail_queue_admin.cc
    Result<Entry> peek(std::uint64_t id) const;
    void show_destination_state(Entry& entry) const;
    void fail_all(Entry& entry, Time now);
    Result<void> change(Id id, const std::function<Result<void>(Item&, Time)>& what);

    store::Store& store_;
    const QueueSettings settings_;
    const Clock clock_;
    store::AccountId account_{};
    store::MailboxId mailbox_{};
    LocalNotices local_;

    mutable std::mutex mutex_;
    std::condition_variable changed_;  // operations_ or unrecorded_ became fewer, or the queue stops
    bool accepting_ = false, sending_ = false;
    std::unordered_map<std::uint64_t, Item> items_;
    std::size_t adding_ = 0;                 // messages that the store has not answered for yet
    std::vector<std::uint32_t> free_slots_;  // a heap, the least on top
    std::uint32_t slots_ = 0;
    Schedule schedule_;
    std::map<std::string, Outcome> unreachable_;  // by destination: why
    std::map<std::uint64_t, Time> notices_due_;   // by message: not before
    std::size_t unrecorded_items_ = 0;
    std::map<std::uint64_t, bool> unrecorded_again_;  // by message: what the store has refused; true: removal
    std::size_t operations_ = 0;  // that the store, or somebody who gets a notice, has not answered
    std::size_t unrecorded_ = 0;  // of them: outcomes
    Time tidied_{};
    Counts counts_;

    std::shared_mutex transport_mutex_;  // held shared while it is used
    std::unique_ptr<Transport> transport_;
};

}  // namespace pier::queue
