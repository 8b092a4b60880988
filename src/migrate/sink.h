// Where imported mail goes: straight into a store (store_sink.h), or over the management socket of a running
// server.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "store/store.h"

namespace pier::migrate {

struct Message {
    std::unique_ptr<store::Spool> spool;  // from the sink's new_spool(); the octets with CRLF line ends
    std::string mailbox;
    store::Flags flags = 0;
    Time internal_date{};
    std::string uidl;  // empty: the store's own
    store::ImportKey key{};
};

struct Accepted {
    bool uidl_in_use = false;  // the mailbox has another message with that UIDL: this one got the store's own
};

class Sink {
  public:
    virtual ~Sink() = default;

    // Where the octets of one message are written. Its write fails with invalid when the message is too
    // large.
    virtual Result<std::unique_ptr<store::Spool>> new_spool() = 0;

    // Stores the message in order, one after the other. May block. `done` is called when it is durable, on
    // any thread, maybe inside this call: with `exists` when a message of that key was imported before, even
    // if it was removed since.
    virtual void append(Message message, store::Done<Accepted> done) = 0;
};

}  // namespace pier::migrate
