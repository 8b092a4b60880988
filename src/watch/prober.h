// Looks at one mail port from outside, once: connects, speaks, and judges what it sees. It blocks for up to a
// minute and more; any thread, also several at once. The process must ignore SIGPIPE: OpenSSL writes to
// sockets that a server may just have closed.
#pragma once

#include <functional>
#include <string>

#include "base/time.h"
#include "watch/conversation.h"
#include "watch/findings.h"

namespace pier::watch {

struct ProbeOptions {
    ConversationLimits limits;
    std::optional<Login> login;
    std::string hostname = "localhost";  // of this machine, for EHLO
    // Extra connections: old TLS, weak ciphers, another ALPN, an injected command. Eight of them: for once a
    // day, not once a minute.
    bool thorough = true;
    // USER in clear, VRFY, relaying from and to foreign addresses.
    bool look = true;
    std::string relay_from = "pier-probe@example.org", relay_to = "pier-probe@example.net";
    Rules rules;
    Clock clock = system_now;
};

// Never fails: what goes wrong is in the probe, with findings.
Probe probe(const Target& target, const TlsTrust& trust, const ProbeOptions& options);

struct CanaryOptions {
    std::string from, to;
    Milliseconds wait{60'000};  // until it must have come
    Milliseconds poll{1000};    // between two looks
};

// Sends a mail by `sender` (SMTP, submission or LMTP), waits until POP3 at `fetcher` has it, compares it and
// deletes it; and canaries of more than an hour ago too. Blocks for up to `wait` and two conversations.
Canary fly_canary(const Target& sender, const Target& fetcher, const TlsTrust& trust,
                  const CanaryOptions& canary, const ProbeOptions& options);

// The message of a canary; `token`: the value of its X-Pier-Canary field.
std::string canary_message(const CanaryOptions& canary, const std::string& token, const std::string& hostname,
                           Time now);

}  // namespace pier::watch
