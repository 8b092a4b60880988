// Delivery: a message that LMTP or `pier deliver` brought goes into the INBOX of every account it is for.
// Resolves addresses, writes the trace fields (RFC 5321 §4.4), and turns what the store says into replies
// (RFC 3463). Any thread; the directory and the store outlive it.
//
//   Recipients: resolve() each, keep those that gave accounts.
//   Octets:     store.new_spool()->write(…), with CRLF line ends; spool_refusal() names a failure.
//   Then:       deliver(); its callback has one reply per recipient, told when the message is durable.
#pragma once

#include <functional>
#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/directory.h"
#include "base/result.h"
#include "base/time.h"
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
};

// Where a message came from and for whom: what the trace fields say.
struct Envelope {
    std::string helo;           // the peer's own name, as the session has checked it; empty: a local command
    std::string peer;           // its address, "[192.0.2.1]" or "unix"; empty: not said
    std::string with = "LMTP";  // the protocol: "LMTP", "LMTPS", "UTF8LMTP" (RFC 6531 §4.3), "local"
    smtp::Address sender;       // both empty: the null reverse-path
    std::string recipient;      // in "for <…>": only when there is exactly one (RFC 5321 §7.2); else empty
};

// Who one recipient is.
using Accounts = std::vector<auth::AccountPtr>;
struct Resolved {
    Accounts accounts;  // empty: refused
    smtp::Reply reply;  // what the client is told about the recipient
};

class Delivery {
  public:
    Delivery(store::Store& store, const auth::Directory& directory, Settings settings, Clock clock);

    // Who gets mail for `address`: a disabled account still does (it cannot log in, and its mail must not
    // bounce). Refused are unknown ones (550 5.1.1), and all when the directory fails (451 4.3.0). Does not
    // wait for the disk.
    Resolved resolve(const smtp::Address& address) const;

    // Appends the message to the INBOXes of all `recipients`; an account named by several of them gets it
    // once. `done` gets one reply per recipient, in order, on a thread of the store: post to your event loop.
    // A recipient that is several accounts is answered by the first failure among them, else by success.
    using Done = std::function<void(std::vector<smtp::Reply>)>;
    void deliver(const Envelope& envelope, std::vector<Accounts> recipients,
                 std::unique_ptr<store::Spool> spool, Done done);

    // A failed Spool::write as the refusal of the whole message: 452 4.3.1, 552 5.3.4, 451 4.3.0.
    smtp::Reply spool_refusal(const Error& error) const;

    // The trace fields that deliver() puts in front of the message; CRLF line ends.
    std::string trace_fields(const Envelope& envelope, Time now) const;

  private:
    smtp::Reply reply(const Error& error) const;

    store::Store& store_;
    const auth::Directory& directory_;
    const Settings settings_;
    const Clock clock_;
};

// Copies a message from a stream into a spool: LF becomes CRLF, and the last line gets its end. A "From "
// line at the start, as some programs put there, is left out. Blocks. Fails as Spool::write does, with io
// when the stream fails, with invalid when it is empty.
Result<void> spool_message(std::istream& in, store::Spool& spool);

}  // namespace pier::delivery
