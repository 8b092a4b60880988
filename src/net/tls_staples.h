// The OCSP responses that are sent along with the certificates (net/ocsp.h says which may be). Owned by Tls.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <openssl/types.h>

#include "base/time.h"
#include "net/ocsp.h"

namespace pier::net {

class TlsStaples {
  public:
    explicit TlsStaples(const Clock& clock) : clock_(clock) {}

    // Gives `context`, which has its certificate and chain, what `file` has for it, or the folder that
    // fetched ones are put into (as FINGERPRINT.der). Without a good one: what `before` has for that
    // certificate, if its time is not over. `file` and `folder` may be empty. Each clause that a person
    // should know of is in problems().
    struct Place {
        std::string certificate;  // for the messages
        std::string file, folder;
    };
    void serve(SSL_CTX* context, const Place& place, const TlsStaples& before);

    // What went wrong in serve(), and which responses are over by now.
    std::vector<std::string> problems() const;

  private:
    struct Staple;
    static int on_status(SSL* ssl, void* staple);
    static int index();

    const Clock clock_;
    std::map<std::string, std::shared_ptr<const Staple>> by_fingerprint_;
    std::vector<std::string> problems_;
};

}  // namespace pier::net
