// TLS for the server side (RFC 8446, RFC 5246; settings after RFC 9325): the certificate and the rules,
// shared by all connections, replaced whole when the files change. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <openssl/ssl.h>

#include "base/result.h"
#include "base/time.h"
#include "net/tls_tickets.h"

namespace pier::net {

struct TlsFiles {
    std::string certificate;  // PEM: the server's certificate, then the chain
    std::string key;          // PEM
};

class Tls {
  public:
    // Reads and checks the files: that they exist, that key and certificate belong together, that the
    // certificate is within its time. The text of a failure says which file and why.
    // Session tickets age by `clock`.
    static Result<std::unique_ptr<Tls>> load(const TlsFiles& files, Clock clock = system_now);

    // Reads the files, perhaps new ones. If they are not right, what was loaded before stays in use. Tickets
    // that clients hold stay good: the keys that seal them are kept.
    Result<void> reload(const TlsFiles& files);

    // A new connection's state, waiting for the client to speak; its BIOs are the caller's to set, to those
    // of a TlsStream. Null if memory is short. It must not outlive this object, which has its tickets' keys.
    SSL* new_connection() const;

    // Days until the certificate ends (negative: it has ended).
    int days_left() const;

  private:
    struct Context;
    explicit Tls(Clock clock) : tickets_(std::move(clock)) {}

    TlsTickets tickets_;
    mutable std::mutex mutex_;
    std::shared_ptr<Context> context_;
};

// What OpenSSL has to say about the last failure on this thread, in one line; empties its queue.
std::string tls_error_text();

}  // namespace pier::net
