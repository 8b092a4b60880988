// The queue: messages for other servers, kept until each recipient has been delivered to, or its sender told
// why not. Durable in the store's log: a message is a message of a mailbox of the queue's own, its envelope
// and each recipient's progress a record of the directory (DirectoryKind::queue).
//
// Promises: what append() has reported is on disk and survives kill -9; nothing is sent that append() has not
// reported; a message is sent a second time only if the process died between the other server's 250 and the
// record of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "smtp/envelope.h"
#include "store/store.h"

namespace pier::queue {

// One recipient elsewhere, or one here whose sender wants to be told that he has the message.
struct Outgoing {
    smtp::Envelope::Recipient recipient;
    // Who the other server is told that it comes from; usually the envelope's, another one (SRS) where mail
    // is forwarded.
    smtp::Address sender;
    // One of the message's own targets is his: nothing is sent to him, only the report (RFC 3461 §5.2.3).
    bool delivered_here = false;
};

// What delivery/ gives to the queue.
struct NewOutgoing {
    smtp::Envelope envelope;  // its recipients are not looked at
    std::vector<Outgoing> recipients;
    std::string account;  // who has submitted it; empty: forwarded, or made here
    // Of the message's beginning (its prefix): what only its own targets get, and is not sent on. Return-Path
    // is put in front by the last server alone (RFC 5321 §4.4).
    std::uint64_t local_octets = 0;
};

// What the floors above see of the queue.
class Intake {
  public:
    virtual ~Intake() = default;
    // Appends `message` to its targets, as Store::append does, and queues it for `outgoing`, both or neither:
    // message.all_or_none. The results are those of the message's own targets, which may be none. Fails with
    // `busy` when the queue is full (its named limit), with `invalid` for a recipient without a domain. With
    // no recipients it is Store::append. `done` runs on a thread of the store, or in the call when it is
    // refused at once. Any thread.
    virtual void append(store::NewMessage message, NewOutgoing outgoing,
                        store::Done<std::vector<Result<store::Appended>>> done) = 0;
};

}  // namespace pier::queue
