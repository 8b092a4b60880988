// TLS for the server side (RFC 8446, RFC 5246; settings after RFC 9325): the certificates and the rules,
// shared by all connections, replaced whole when the files change. Any thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <openssl/ssl.h>

#include "base/result.h"
#include "base/time.h"
#include "net/self_signed.h"
#include "net/tls_challenges.h"
#include "net/tls_clients.h"
#include "net/tls_staples.h"
#include "net/tls_tickets.h"

namespace pier::net {

struct TlsFiles {
    std::string certificate;  // PEM: the server's certificate, then the chain
    std::string key;          // PEM
    std::string ocsp{};       // DER: what the authority says of it (net/ocsp.h); empty: none
};

// Mozilla's: intermediate is TLS 1.2 and 1.3, modern 1.3 alone.
enum class TlsPolicy { intermediate, modern };

struct TlsSettings {
    TlsFiles files;                  // for who names no server, or one that no certificate is for
    std::vector<TlsFiles> others{};  // for the names that they hold (RFC 6066 §3); the first that fits
    TlsPolicy policy = TlsPolicy::intermediate;
    std::string
        ticket_keys{};  // a file of keys that other nodes have too (net/tls_ticket_keys.h); empty: none
    std::string ocsp_folder{};  // where fetched OCSP responses are, for certificates without one; empty: none
    // Names for a self-signed certificate, which stands in as long as the file `files.certificate` is not
    // there.
    std::vector<std::string> stand_in{};
    TlsClients clients{};
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
    // The self-signed certificate is in use (TlsSettings::stand_in).
    bool stands_in() const { return stands_in_; }
    // What somebody should see to before clients do, each in a sentence: certificates that end soon, OCSP
    // responses that are not sent. Nothing of it stops the server.
    std::vector<std::string> problems() const;

    // The certificates that answer an ACME authority, by their names (net/tls_challenges.h), in place of
    // those before. One that is not right is left out, and named in the failure.
    Result<void> answer_challenges(const std::map<std::string, PemPair>& certificates);

  private:
    struct FreeContext {
        void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    };
    using Context = std::unique_ptr<SSL_CTX, FreeContext>;
    struct Choice;
    static int choose(SSL* ssl, int* alert, void* choice);
    static int on_client_hello(SSL* ssl, int* alert, void* tls);
    Result<Context> make_bare_context(const TlsSettings& settings);
    Result<Context> make_context(const TlsFiles& files, const TlsSettings& settings);
    Result<Context> make_first_context(const TlsSettings& settings, bool& stands_in);
    explicit Tls(const Clock& clock)
        : clock_(clock), tickets_(clock), staples_(std::make_unique<TlsStaples>(clock)) {}

    const Clock clock_;
    TlsTickets tickets_;
    TlsChallenges challenges_;
    std::atomic<bool> stands_in_ = false, challenged_ = false;
    std::mutex reload_mutex_;  // one reload at a time
    mutable std::mutex mutex_;
    std::unique_ptr<TlsStaples> staples_;
    Context context_;  // of TlsSettings::files; it holds the others
};

// What OpenSSL has to say about the last failure on this thread, in one line; empties its queue.
std::string tls_error_text();

}  // namespace pier::net
