// What becomes of each recipient of one message: who of this server gets it, and who elsewhere, with which
// sender; and which reply of Delivery::deliver() is whose. One object per message, one thread.
//
//   for each recipient: delivery.route(recipient, delivery.resolve(…), envelope, routing)
//   delivery.deliver(envelope, routing.take_accounts(), …); then routing.replies(…) of what it has told
#pragma once

#include <optional>
#include <vector>

#include "delivery/delivery.h"
#include "delivery/incoming_header.h"

namespace pier::delivery {

class Routing {
  public:
    // For deliver(); once.
    std::vector<Accounts> take_accounts() { return std::move(accounts_); }

    std::size_t recipients() const { return places_.size(); }

    // One reply per recipient, in order, from those of deliver(): that of its accounts, else that of what
    // goes elsewhere.
    std::vector<smtp::Reply> replies(const std::vector<smtp::Reply>& of_deliver) const;

    // Why the message is not forwarded: it has come back to who forwards it. Absent: it has not.
    std::optional<smtp::Reply> loop_refusal(const IncomingHeader& header) const;

  private:
    friend class Delivery;
    struct Place {
        std::optional<std::size_t> here;  // in accounts_
        bool elsewhere = false;
    };
    std::vector<Accounts> accounts_;
    std::vector<Place> places_;              // of each recipient
    std::vector<smtp::Address> forwarding_;  // recipients whose mail goes elsewhere
};

}  // namespace pier::delivery
