// Asks the responders that certificates name (RFC 6960 over HTTP, its §A.1) what to send along with them, and
// again at half of an answer's life. Leaves FINGERPRINT.der in its folder. Blocks, connects and writes files:
// for a process outside the sandbox. One thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/time.h"

namespace pier::acme {

class OcspFetcher {
  public:
    // `certificates` are PEM files, the server's certificate first, then its chain; they may change and come
    // later.
    OcspFetcher(std::vector<std::string> certificates, std::string folder, std::function<void()> changed)
        : certificates_(std::move(certificates)), folder_(std::move(folder)), changed_(std::move(changed)) {}

    // Looks at the files, and asks for what is due; logs what cannot be had. Every minute or so.
    void look();

  private:
    struct Due {
        Time next{};
        int failures = 0;
    };
    // True: there is a new answer for the certificate.
    bool fetch_for(const std::string& file, std::map<std::string, Due>& seen);
    void remove_others() const;

    const std::vector<std::string> certificates_;
    const std::string folder_;
    const std::function<void()> changed_;
    std::map<std::string, Due> due_;  // by fingerprint
};

// One of these files names a responder now.
bool any_names_responder(const std::vector<std::string>& certificates);

}  // namespace pier::acme
