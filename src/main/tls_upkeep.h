// Keeps the certificates of a running server fresh: notices that one of the files has changed, takes it up,
// and says loudly what is wrong with them. Any thread; look() and take_up() wait for each other and for the
// disk.
#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/tls.h"

namespace pier::program {

// Files, as they were when somebody looked. What is not there is a state too.
class FileWatch {
  public:
    // True, once, after one of them has become another: but only when all are as they were in the look
    // before. Who replaces a certificate and its key does not do both in one moment.
    bool changed(const std::vector<std::string>& files);

  private:
    using State = std::vector<std::uint64_t>;
    static State state_of(const std::vector<std::string>& files);
    State acted_on_, last_;
    bool began_ = false;
};

class TlsUpkeep {
  public:
    // `tls` has been loaded with `settings`, and outlives it.
    TlsUpkeep(net::Tls& tls, net::TlsSettings settings);

    // Every few seconds: takes up what has changed (then true), and logs what is wrong, each thing once.
    bool look();
    // Now, perhaps other files. What was loaded before stays if one of them is not right; the log has the
    // reason.
    Result<void> take_up(const net::TlsSettings& settings);
    // What has changed, at once: who says so has finished changing it. False: it is not right, and the log
    // says why.
    bool take_up_changes();

    net::TlsSettings settings() const;

  private:
    Result<void> reload(const net::TlsSettings& settings);
    void tell_problems();

    net::Tls& tls_;
    mutable std::mutex mutex_;
    net::TlsSettings settings_;
    FileWatch watch_;
    std::set<std::string> told_;
};

}  // namespace pier::program
