// TLS as a probe uses it: connections that take any certificate and then tell all about it, and connections
// that offer only what nobody should take. Blocking is net/client_connection's; this only sets up and reads.
// Any thread, each object on one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/ssl.h>

#include "base/result.h"
#include "base/time.h"
#include "net/client_connection.h"
#include "watch/probe.h"

namespace pier::watch {

// What a connection offers. OpenSSL's words; 0 and empty: what OpenSSL does by itself.
struct TlsOffer {
    int version_min = 0, version_max = 0;
    std::string ciphers;  // up to TLS 1.2
    std::string alpn;     // one protocol
};

// What nobody should take, by its name in TlsLimits; `ciphers` are OpenSSL's.
namespace weak_ciphers {
inline constexpr const char* without_encryption = "eNULL:@SECLEVEL=0";
inline constexpr const char* anonymous = "aNULL:!eNULL:@SECLEVEL=0";
inline constexpr const char* broken = "RC4:3DES:DES:EXPORT:MD5:!aNULL:!eNULL:@SECLEVEL=0";
inline constexpr const char* no_forward_secrecy = "kRSA:!eNULL:!RC4:!3DES:!IDEA:!SEED:@SECLEVEL=0";
}  // namespace weak_ciphers

class TlsTrust {
  public:
    // The authorities in `ca_file` (PEM), or the system's if it is empty.
    static Result<TlsTrust> load(const std::string& ca_file);

    // For a connection to `name`. `invalid`: this OpenSSL cannot offer that.
    Result<net::ClientConnection::Ssl> make_ssl(const std::string& name, const TlsOffer& offer) const;
    // After the handshake: the certificates are judged as of `now`.
    TlsFacts facts(SSL* ssl, const std::string& name, Time now) const;
    // Why `chain` (the server's own first) is not to be trusted as of `now`.
    std::vector<TlsFacts::Distrust> verify(STACK_OF(X509) * chain, Time now) const;

  private:
    std::shared_ptr<X509_STORE> authorities_;
};

Certificate describe(X509* certificate);

}  // namespace pier::watch
