// Mailboxes as they were at one moment, and the cache that gives the same one to all who open an unchanged
// mailbox.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "store/log/index.h"
#include "store/log/segment.h"
#include "store/store.h"

namespace pier::store::log {

class LogSnapshot : public Snapshot, public std::enable_shared_from_this<LogSnapshot> {
  public:
    // Reads the mailbox from the index. not_found if there is none.
    static Result<std::shared_ptr<const LogSnapshot>> read(const Index& index, const Segments& segments,
                                                           ChecksumKey key, MailboxId mailbox);

    MailboxId mailbox() const override { return mailbox_; }
    std::span<const Entry> entries() const override { return entries_; }
    std::uint64_t octets() const override { return octets_; }
    std::uint64_t modseq() const override { return modseq_; }
    std::string uidl(std::size_t index) const override;
    Result<Details> details(std::size_t index) const override;
    Result<std::unique_ptr<Body>> body(std::size_t index) const override;

    std::uint64_t memory_octets() const;

  private:
    LogSnapshot(const Index& index, ChecksumKey key, MailboxId mailbox)
        : index_(index), key_(key), mailbox_(mailbox) {}
    bool hold_segments(const Segments& segments);

    const Index& index_;
    const ChecksumKey key_;
    const MailboxId mailbox_;
    std::uint64_t octets_ = 0, modseq_ = 0;
    std::vector<Entry> entries_;
    std::vector<std::pair<std::uint32_t, std::string>>
        uidls_;                     // index and UIDL of those that brought their own
    std::vector<SegmentPtr> held_;  // by number: their files stay readable
};

// The latest snapshots, as many as fit into `octets_max`. Any thread.
class SnapshotCache {
  public:
    explicit SnapshotCache(std::uint64_t octets_max) : octets_max_(octets_max) {}
    std::shared_ptr<const LogSnapshot> find(MailboxId mailbox, std::uint64_t modseq);
    void keep(std::shared_ptr<const LogSnapshot> snapshot);
    void clear();  // after a segment has gone: so that its file does not stay open

  private:
    using Order = std::list<std::shared_ptr<const LogSnapshot>>;
    const std::uint64_t octets_max_;
    std::mutex mutex_;
    Order latest_first_;
    std::unordered_map<MailboxId, Order::iterator> by_mailbox_;
    std::uint64_t octets_ = 0;
};

}  // namespace pier::store::log
