// The certificates that prove to an ACME authority that a name leads to this server (tls-alpn-01, RFC 8737):
// each is shown to a client that asks for its name and for the protocol acme-tls/1 alone. Owned by Tls. Any
// thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <openssl/types.h>

namespace pier::net {

inline constexpr char acme_alpn[] = "acme-tls/1";

class TlsChallenges {
  public:
    using Context = std::shared_ptr<SSL_CTX>;
    // By the name, in lower case; in place of those before.
    void set(std::map<std::string, Context> contexts);

    // For whom a ClientHello asks by acme-tls/1. Within OpenSSL's callback for it.
    static std::optional<std::string> name_asked_for(SSL* ssl);
    // Null if there is no challenge for that name.
    Context find(const std::string& name) const;

  private:
    mutable std::mutex mutex_;
    std::map<std::string, Context> contexts_;
};

}  // namespace pier::net
