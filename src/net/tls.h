// TLS for the server side (RFC 8446, RFC 5246; settings after RFC 9325): the certificates and the rules,
// shared by all connections, replaced whole when the files change. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <openssl/ssl.h>

#include "base/result.h"
#include "base/time.h"
#include "net/tls_tickets.h"

namespace pier::net {

struct TlsFiles {
    std::string certificate;  // PEM: the server's certificate, then the chain
    std::string key;          // PEM
};

// Mozilla's: intermediate is TLS 1.2 and 1.3, modern 1.3 alone.
enum class TlsPolicy { intermediate, modern };

struct TlsSettings {
    TlsFiles files;                  // for who names no server, or one that no certificate is for
    std::vector<TlsFiles> others{};  // for the names that they hold (RFC 6066 §3); the first that fits
    TlsPolicy policy = TlsPolicy::intermediate;
};

class Tls {
  public:
    // Reads and checks the files: that they exist, that key and certificate belong together, that the
    // certificate is within its time. The text of a failure says which file and why.
    // Session tickets age by `clock`.
    static Result<std::unique_ptr<Tls>> load(const TlsSettings& settings, Clock clock = system_now);

    // Reads the files, perhaps new ones. If one is not right, what was loaded before stays in use. Tickets
    // that clients hold stay good: the keys that seal them are kept.
    Result<void> reload(const TlsSettings& settings);

    // A new connection's state, waiting for the client to speak; its BIOs are the caller's to set, to those
    // of a TlsStream. Null if memory is short. It must not outlive this object, which has its tickets' keys.
    SSL* new_connection() const;

    // Days until the first of the certificates ends (negative: it has ended).
    int days_left() const;

  private:
    struct FreeContext {
        void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    };
    using Context = std::unique_ptr<SSL_CTX, FreeContext>;
    struct Choice;
    static int choose(SSL* ssl, int* alert, void* choice);
    Result<Context> make_context(const TlsFiles& files, TlsPolicy policy);
    explicit Tls(Clock clock) : tickets_(std::move(clock)) {}

    TlsTickets tickets_;
    mutable std::mutex mutex_;
    Context context_;  // of TlsSettings::files; it holds the others
};

// What OpenSSL has to say about the last failure on this thread, in one line; empties its queue.
std::string tls_error_text();

}  // namespace pier::net
