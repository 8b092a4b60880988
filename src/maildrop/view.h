// What a POP3 session shows of an account: its INBOX whole; or the last of it; or the mail of the last days
// again, with what has been deleted since and is still kept. Made at login and never changed; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "maildrop/policy.h"
#include "store/store.h"

namespace pier::maildrop {

class View {
  public:
    // The whole INBOX; costs nothing.
    explicit View(std::shared_ptr<const store::Snapshot> inbox);

    // The last of the INBOX, as the policy says. What came in before `show_days` is left out at once; of the
    // rest every message's own date is looked up, which waits for the disk.
    static View last(std::shared_ptr<const store::Snapshot> inbox, const Policy& policy, Time now);
    // Of the INBOX and of `kept` (mailboxes that hold what was deleted) what is not older than `recent_days`,
    // in the order in which it came in. Waits for the disk.
    static View recent(std::shared_ptr<const store::Snapshot> inbox,
                       std::vector<std::shared_ptr<const store::Snapshot>> kept, const Policy& policy,
                       Time now);

    std::size_t messages() const { return whole_ ? inbox_->entries().size() : places_.size(); }
    std::uint64_t octets() const { return whole_ ? inbox_->octets() : octets_; }
    const store::Entry& entry(std::size_t index) const {
        const Place at = place(index);
        return snapshot(at).entries()[at.index];
    }
    void append_uidl(std::size_t index, std::string& out) const {
        const Place at = place(index);
        snapshot(at).append_uidl(at.index, out);
    }
    Result<std::unique_ptr<store::Body>> body(std::size_t index) const {
        const Place at = place(index);
        return snapshot(at).body(at.index);
    }

    // The UIDs of those that are in the INBOX; the others have been deleted before.
    std::vector<store::Uid> inbox_uids(const std::vector<std::size_t>& indexes) const;

  private:
    struct Place {
        std::uint32_t part = 0;  // 0: the INBOX; else kept_[part - 1]
        std::uint32_t index = 0;
    };
    Place place(std::size_t index) const {
        return whole_ ? Place{0, static_cast<std::uint32_t>(index)} : places_[index];
    }
    const store::Snapshot& snapshot(Place at) const { return at.part == 0 ? *inbox_ : *kept_[at.part - 1]; }
    void add_since(std::uint32_t part, Time earliest);
    void count();

    std::shared_ptr<const store::Snapshot> inbox_;
    std::vector<std::shared_ptr<const store::Snapshot>> kept_;
    bool whole_ = true;
    std::vector<Place> places_;  // empty if whole
    std::uint64_t octets_ = 0;
};

}  // namespace pier::maildrop
