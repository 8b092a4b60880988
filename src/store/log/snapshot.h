// A mailbox as it was at one moment: a listing that all sessions share, and the modification sequence.
#pragma once

#include <memory>

#include "store/log/index.h"
#include "store/log/listing.h"
#include "store/log/verified.h"
#include "store/store.h"

namespace pier::store::log {

class LogSnapshot : public Snapshot {
  public:
    // The mailbox as it is now: what the cache has of it, and what has changed since. not_found if there is
    // none. `busy` as Store::open() says.
    static Result<std::shared_ptr<const LogSnapshot>> open(const Index& index, const Segments& segments,
                                                           ListingCache& cache, VerifiedMessages& verified,
                                                           ChecksumKey key, MailboxId mailbox, Wait wait);
    LogSnapshot(const Index& index, VerifiedMessages& verified, ChecksumKey key, ListingPtr listing,
                std::uint64_t modseq)
        : index_(index), verified_(verified), key_(key), listing_(std::move(listing)), modseq_(modseq) {}

    MailboxId mailbox() const override { return MailboxId{listing_->mailbox()}; }
    std::span<const Entry> entries() const override { return listing_->entries(); }
    std::uint64_t octets() const override { return listing_->octets(); }
    std::uint64_t modseq() const override { return modseq_; }
    void append_uidl(std::size_t index, std::string& out) const override {
        listing_->append_uidl(index, out);
    }
    Result<Details> details(std::size_t index) const override;
    Result<std::unique_ptr<Body>> body(std::size_t index) const override;

  private:
    const Index& index_;
    VerifiedMessages& verified_;
    const ChecksumKey key_;
    const ListingPtr listing_;
    const std::uint64_t modseq_;
};

// As Store::body() says.
Result<std::unique_ptr<Body>> body_of(const Index& index, const Segments& segments,
                                      VerifiedMessages& verified, ChecksumKey key, MailboxId mailbox,
                                      Uid uid);

}  // namespace pier::store::log
