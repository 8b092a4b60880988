// Delivery: a message that somebody brought goes into the INBOX of every account it is for, and into the
// queue for everybody elsewhere.
// Resolves addresses, writes the trace fields (RFC 5321 §4.4), and turns what the store says into replies
// (RFC 3463). Any thread; the directory and the store outlive it.
//
//   Recipients: resolve() each, keep those that gave accounts.
//   Octets:     store.new_spool()->write(…), with CRLF line ends; spool_refusal() names a failure.
//   Then:       deliver(); its callback has one reply per recipient, told when the message is durable and,
//               if some of it goes elsewhere, queued: both or neither.
#pragma once

#include <functional>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/directory.h"
#include "base/result.h"
#include "base/time.h"
#include "delivery/domain_room.h"
#include "delivery/srs.h"
#include "queue/queue.h"
#include "smtp/session.h"
#include "store/store.h"

namespace pier::delivery {

enum class OverQuota {
    temporary,
    permanent
};  // 452: the sender tries again for days; 552: it is told at once

struct Settings {
    std::string hostname;  // in Received
    OverQuota over_quota = OverQuota::temporary;
    std::string postmaster{};  // the account that gets mail for postmaster where nobody has that name; empty:
                               // the oldest
    std::string srs_domain{};  // of the senders under which mail is forwarded; empty: the recipient's own
};

// Where a message came from and for whom: what the trace fields say.
struct Envelope {
    std::string helo;           // the peer's own name, as the session has checked it; empty: a local command
    std::string peer;           // its address, "[192.0.2.1]" or "unix"; empty: not said
    std::string with = "LMTP";  // the protocol: "LMTP", "LMTPS", "UTF8LMTP" (RFC 6531 §4.3), "local"
    smtp::Address sender;       // both empty: the null reverse-path
    std::string recipient;      // in Delivered-To and "for <…>": only when there is exactly one (RFC 5321
                                // §7.2); else empty
    bool all_or_none = false;   // nobody gets the message unless all can: SMTP has one reply for all of them

    // Who gets it elsewhere, or wants a report of success, and what the queue must know for that
    // (smtp/envelope.h).
    std::vector<queue::Outgoing> outgoing{};
    bool body_8bit = false, utf8 = false, require_tls = false;
    smtp::Return ret = smtp::Return::unsaid;
    std::string id{};            // ENVID
    std::string account{};       // who has submitted it; empty: nobody did
    std::string fields{};        // further fields of its header, behind the trace fields; CRLF line ends
    std::string added_fields{};  // what a filter has found out: whole fields with CRLF, under Return-Path
    bool junk = false;           // it goes to the mailboxes "Junk", which are made where they are missing
};

// Who one recipient is.
using Accounts = std::vector<auth::AccountPtr>;
struct Resolved {
    Accounts accounts;                       // empty: refused
    smtp::Reply reply;                       // what the client is told about the recipient
    std::vector<smtp::Address> elsewhere{};  // who gets it on other servers
    bool bounce = false;  // it goes back to who has sent what was forwarded: with the null sender (srs.h)
};

class Routing;

class Delivery {
  public:
    Delivery(store::Store& store, const auth::Directory& directory, Settings settings, Clock clock);

    // Who gets mail for `address`: a disabled account still does (it cannot log in, and its mail must not
    // bounce), and postmaster is always somebody (RFC 5321 §4.5.1). Refused are unknown ones (550 5.1.1),
    // domains that are not ours (550 5.7.1), and all when the directory fails (451 4.3.0). Does not wait for
    // the disk.
    Resolved resolve(const smtp::Address& address) const;
    // The same of what somebody else has found out about an address (auth::Authenticator::find_recipients):
    // `busy` is 451 4.4.3, a directory that cannot be asked (RFC 3463 §3.5).
    Resolved resolved(const smtp::Address& address, Result<auth::Recipients> found) const;
    // An address that forwarding has made of a sender's (srs.h): ask nobody else who it is. Absent: it is
    // another one.
    std::optional<Resolved> resolve_bounce(const smtp::Address& address) const;

    // Adds a recipient to who gets the message (routing.h): envelope.outgoing grows too. envelope.sender and
    // envelope.account are set by then.
    void route(const smtp::Envelope::Recipient& recipient, Resolved resolved, Envelope& envelope,
               Routing& routing) const;

    // Why a message of that size (0: not known) does not fit into one of their mailboxes; absent: it does.
    // The second looks at the quotas of their domains alone, the first at those too. They wait for the disk.
    std::optional<smtp::Reply> room_refusal(const Accounts& accounts, std::uint64_t octets) const;
    std::optional<smtp::Reply> domain_refusal(const Accounts& accounts, std::uint64_t octets) const;
    // Whether there is such a quota. Ask the second then, before deliver(), which does not count anew.
    bool has_domain_quota(const Accounts& accounts) const;

    // Where mail for elsewhere goes; it outlives this. Null, as at first: none is taken. Before the first
    // deliver().
    void use_queue(queue::Intake* queue) { queue_ = queue; }
    bool has_queue() const { return queue_ != nullptr; }

    // Appends the message to the INBOXes of all `recipients`, of which there may be none; an account named by
    // several of them gets it once. `done` gets one reply per recipient, in order, and one more for all of
    // envelope.outgoing, if there are any; on a thread of the store, or before this returns: post to your
    // event loop. A recipient that is several accounts is answered by the first failure among them, else by
    // success. A full queue is 452 4.3.1.
    using Done = std::function<void(std::vector<smtp::Reply>)>;
    void deliver(const Envelope& envelope, std::vector<Accounts> recipients,
                 std::unique_ptr<store::Spool> spool, Done done);

    // A failed Spool::write as the refusal of the whole message: 452 4.3.1, 552 5.3.4, 451 4.3.0.
    smtp::Reply spool_refusal(const Error& error) const;

    // The trace fields that deliver() puts in front of the message; CRLF line ends. Return-Path, the first,
    // is of messages that end here (RFC 5321 §4.4): one that goes only elsewhere has none, and the queue does
    // not send that of one that goes to both.
    enum class Way { ends_here, passes };
    std::string trace_fields(const Envelope& envelope, Time now, Way way = Way::ends_here) const;

  private:
    smtp::Reply reply(const Error& error) const;
    smtp::Reply queue_reply(const Error& error) const;
    Srs srs() const { return Srs(directory_.secret()); }  // it may be loaded only after we are made
    Resolved somebody(auth::Recipients found) const;
    void ask_for_report(smtp::Envelope::Recipient recipient, Envelope& envelope) const;
    smtp::Address forwarding_sender(const Envelope& envelope, const smtp::Address& recipient) const;
    struct Plan;
    void add_target(const auth::Account& account, std::size_t recipient, store::NewMessage& message,
                    Plan& plan) const;
    std::vector<smtp::Reply> replies(const Plan& plan,
                                     const Result<std::vector<Result<store::Appended>>>& result) const;
    void find_junk(std::shared_ptr<store::NewMessage> message, std::shared_ptr<const Plan> plan,
                   std::function<void()> then);
    void hand_over(store::NewMessage message, const Envelope& envelope, std::shared_ptr<const Plan> plan,
                   Done done);
    Accounts postmaster() const;

    store::Store& store_;
    const auth::Directory& directory_;
    const Settings settings_;
    const Clock clock_;
    mutable DomainRoom domain_room_;
    queue::Intake* queue_ = nullptr;
};

bool has_quota(const Accounts& accounts);

// Copies a message from a stream into a spool: LF becomes CRLF, and the last line gets its end. A "From "
// line at the start, as some programs put there, is left out. Blocks. Fails as Spool::write does, with io
// when the stream fails, with invalid when it is empty.
Result<void> spool_message(std::istream& in, store::Spool& spool);

}  // namespace pier::delivery
