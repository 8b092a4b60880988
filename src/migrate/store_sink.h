// Imports into one account of a store. Creates mailboxes as they are named; keeps UIDLs unique within each
// (RFC 1939 §7). One per import, used by one thread; the store outlives it.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>

#include "migrate/sink.h"

namespace pier::migrate {

class StoreSink : public Sink {
  public:
    StoreSink(store::Store& store, store::AccountId account, std::uint64_t quota_octets);  // 0: no quota

    Result<std::unique_ptr<store::Spool>> new_spool() override;
    void append(Message message, store::Done<Accepted> done) override;

  private:
    struct Mailbox {
        store::MailboxId id{};
        std::unordered_set<std::string> uidls;  // of its messages
    };
    Result<Mailbox*> mailbox(const std::string& name);

    store::Store& store_;
    const store::AccountId account_;
    const std::uint64_t quota_octets_;
    std::unordered_map<std::string, Mailbox> mailboxes_;
};

}  // namespace pier::migrate
