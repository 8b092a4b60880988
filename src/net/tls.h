// TLS for the server side (RFC 8446, RFC 5246; settings after RFC 9325): the certificate and the rules,
// shared by all connections, replaced whole when the files change. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include <openssl/ssl.h>

#include "base/result.h"

namespace pier::net {

struct TlsFiles {
    std::string certificate;  // PEM: the server's certificate, then the chain
    std::string key;          // PEM
};

class Tls {
  public:
    // Reads and checks the files: that they exist, that key and certificate belong together, that the
    // certificate is within its time. The text of a failure says which file and why.
    static Result<std::unique_ptr<Tls>> load(const TlsFiles& files);

    // Reads the files, perhaps new ones. If they are not right, what was loaded before stays in use.
    Result<void> reload(const TlsFiles& files);

    // A new connection's state for the socket `fd`. `alpn` ("pop3") is the only protocol name that is
    // accepted from a client that names any (RFC 7301); it must be a literal. Null if memory is short.
    SSL* new_connection(int fd, const char* alpn) const;

    // Days until the certificate ends (negative: it has ended).
    int days_left() const;

  private:
    struct Context;
    Tls() = default;

    mutable std::mutex mutex_;
    std::shared_ptr<Context> context_;
};

// What OpenSSL has to say about the last failure on this thread, in one line; empties its queue.
std::string tls_error_text();

}  // namespace pier::net
