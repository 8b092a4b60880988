// Carries mail over SMTP (RFC 5321): the queue's lanes, each on a thread of a pool for as long as it has
// messages, a connection for each. Which host, which TLS: route.h, dane.h, mta_sts.h.
//
// A lane's messages go to the first host that takes them. A host that cannot be reached, refuses by its
// greeting, cannot do the TLS that is demanded, or breaks off before it is responsible for anything, is
// passed over for the next; recipients that a host has answered for are not asked again elsewhere.
#pragma once

#include <memory>

#include "base/result.h"
#include "base/time.h"
#include "dns/resolver.h"
#include "queue/transport.h"
#include "queue/transport_settings.h"

namespace pier::queue {

class SmtpTransport {
  public:
    // Reads what it needs of files: the authorities, the smarthost's password, the addresses of this machine.
    // So call it before the sandbox. `invalid` or `not_found`: a file cannot be used. The resolver outlives
    // the transport. Threads are started when they are needed.
    static Result<std::unique_ptr<Transport>> make(TransportSettings settings, dns::Resolver& resolver,
                                                   Clock clock = system_now);
};

}  // namespace pier::queue
