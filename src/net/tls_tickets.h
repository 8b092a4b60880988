// The keys that seal session tickets (RFC 5077 §4 and §5.5, RFC 8446 §4.6.1). A ticket carries the session
// itself, so the server remembers nothing about its clients, and all event loops know all tickets. One key
// seals for half a day and then opens for another half: a ticket is good for half a day whenever it was made,
// and what was recorded of a TLS 1.2 session cannot be opened any more after a day. Owned by Tls, outlives
// certificates. Nodes that share a file of keys know each other's tickets; that file's owner then changes the
// keys. Any thread.
#pragma once

#include <chrono>
#include <mutex>
#include <vector>

#include <openssl/types.h>

#include "base/result.h"
#include "base/time.h"
#include "net/tls_ticket_keys.h"

namespace pier::net {

class TlsTickets {
  public:
    static constexpr std::chrono::hours lifetime{12};  // of a ticket, and of a key before the next one seals

    // Keys are made from kernel randomness, live in memory alone, and change as `clock` says.
    explicit TlsTickets(Clock clock);
    ~TlsTickets();
    TlsTickets(const TlsTickets&) = delete;
    TlsTickets& operator=(const TlsTickets&) = delete;

    // Makes `context` use these keys. They outlive it and its connections.
    Result<void> serve(SSL_CTX* context);

    // From now on these keys, the first of them for new tickets; without any, keys of its own again.
    void share(std::vector<TlsTicketKey> keys);

  private:
    using Key = TlsTicketKey;
    static int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                         EVP_MAC_CTX* mac, int sealing);
    int use(bool tls13, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
            bool sealing);
    Key sealing_key();
    // 0: none that is still good; 1: the one that seals; 2: an earlier one.
    int opening_key(const unsigned char* name, Key& key);
    void rotate(Time now);

    const Clock clock_;
    EVP_CIPHER* aes_ = nullptr;
    std::mutex mutex_;
    std::vector<Key> shared_;  // if there are any, the two below are not used
    Key current_, previous_;
};

}  // namespace pier::net
