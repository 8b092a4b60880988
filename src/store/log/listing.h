// What a mailbox holds, as a compact immutable list that all its sessions share; and the cache of the latest
// ones.
//
// A listing belongs to the set of its messages alone: flags do not change it, and a delivery makes a longer
// one of it. UIDs are never given twice and only go up, so the messages below a listing's uid_next can only
// become fewer: a listing is up to date if, and only if, the mailbox's uid_next and its count of messages are
// the listing's.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/log/index.h"
#include "store/log/segment.h"
#include "store/store.h"

namespace pier::store::log {

class Listing;
using ListingPtr = std::shared_ptr<const Listing>;

class Listing {
  public:
    // Reads the mailbox as it is `as_of`, when `state` was its state. With an earlier listing as `base` only
    // what has come since is read, unless something was removed. `busy` if the cleaner has just moved
    // messages: read again; or, with Wait::no_wait, if the disk would have to be waited for.
    static Result<ListingPtr> read(const Index& index, const Index::Moment& as_of, const Segments& segments,
                                   std::uint64_t mailbox, const MailboxState& state, const ListingPtr& base,
                                   Wait wait);

    std::uint64_t mailbox() const { return mailbox_; }
    std::span<const Entry> entries() const { return entries_; }
    std::uint64_t octets() const { return octets_; }
    void append_uidl(std::size_t index, std::string& out) const;
    SegmentPtr segment_of(const Entry& entry) const;

    bool is_of(const MailboxState& state) const {
        return uid_next_ == state.uid_next && entries_.size() == state.messages;
    }
    // Whether it could be this one and what came since; only reading shows that it is.
    bool may_grow_to(const MailboxState& state) const;
    bool holds(std::uint32_t segment) const;
    std::uint64_t memory_octets() const;

  private:
    explicit Listing(std::uint64_t mailbox) : mailbox_(mailbox) {}
    void begin_with(const Listing& base, std::uint64_t messages);
    Result<void> read_entries(const Index& index, const Index::Moment& as_of, const MailboxState& state,
                              std::uint64_t messages_max, Wait wait);
    bool hold_segments(const Segments& segments, std::size_t from);

    // A UIDL that a message brought with it, in uidl_text_: its length in one octet, and it.
    struct [[gnu::packed, gnu::aligned(4)]] OwnUidl {
        std::uint32_t index = 0;  // of the entry
        std::uint64_t at = 0;
    };

    const std::uint64_t mailbox_;
    Uid uid_next_ = 1;
    std::uint64_t octets_ = 0;
    std::vector<Entry> entries_;
    std::vector<OwnUidl> own_uidls_;
    std::string uidl_text_;
    std::vector<SegmentPtr> held_;  // by number: their files stay readable
};

// The latest listings, as many as fit into `octets_max`, the least used going first. Any thread.
class ListingCache {
  public:
    explicit ListingCache(std::uint64_t octets_max) : octets_max_(octets_max) {}

    // The latest that is known, up to date or not; null if none is.
    ListingPtr find(std::uint64_t mailbox);
    // Counts the calls of forget(): a listing that was begun before one must not be kept after it.
    std::uint64_t generation() const;
    void keep(ListingPtr listing, std::uint64_t generation);
    // Of a segment that has gone: so that its file does not stay open.
    void forget(std::uint32_t segment);
    std::uint64_t octets() const;

  private:
    using Order = std::list<ListingPtr>;
    void drop(Order::iterator which);

    const std::uint64_t octets_max_;
    mutable std::mutex mutex_;
    Order latest_first_;
    std::unordered_map<std::uint64_t, Order::iterator> by_mailbox_;
    std::uint64_t octets_ = 0, generation_ = 0;
};

}  // namespace pier::store::log
