// Does what the policy says with deleted and old mail, and brings deleted mail back. Any thread; the store
// outlives it.
#pragma once

#include <cstdint>
#include <vector>

#include "auth/directory.h"
#include "base/result.h"
#include "base/time.h"
#include "maildrop/policy.h"
#include "maildrop/view.h"
#include "store/store.h"

namespace pier::maildrop {

class Keeper {
  public:
    Keeper(store::Store& store, const Policy& policy, Clock clock);

    const Policy& policy() const { return policy_; }

    // RFC 1939 §6: they are gone from the INBOX, durably, when `done` is told so, on a thread of the store.
    // One that is not there (any more) is passed over. Gives the number that were removed. Never waits.
    void remove(const auth::Account& account, std::vector<store::Uid> uids,
                store::Done<std::uint64_t> done) const;

    // What "recent:ada" is shown. Waits for the disk.
    Result<View> recent(const auth::Account& account) const;

    // Puts copies of what was deleted on that day (UTC) or later back into the INBOX, and forgets the
    // originals; from the mailbox "Trash", if that is where the policy puts deleted mail, what came in
    // since. Copies have UIDLs of their own, so that every client fetches them (again). Waits for the disk.
    // If it is cut short some may come back twice, none is lost.
    struct Found {
        std::uint64_t messages = 0, octets = 0;
    };
    Result<Found> undelete(const auth::Account& account, Time since) const;
    // The same, and changes nothing.
    Result<Found> undeletable(const auth::Account& account, Time since) const;

    // What is due by now: forgets what was hidden long enough, deletes what has expired. Waits for the disk.
    struct Tidied {
        std::uint64_t forgotten = 0, expired = 0;  // messages
    };
    Result<Tidied> tidy(const auth::Account& account) const;

  private:
    struct Kept {
        store::MailboxId mailbox{};
        std::vector<store::Uid> uids;
        std::uint64_t octets = 0;
    };
    // What undelete() is about, mailbox by mailbox.
    Result<std::vector<Kept>> deleted_since(store::AccountId account, Time since) const;
    void move(store::AccountId account, store::MailboxId from, std::vector<store::Uid> uids,
              std::string mailbox, store::Done<std::uint64_t> done) const;

    store::Store& store_;
    const Policy policy_;
    const Clock clock_;
};

}  // namespace pier::maildrop
