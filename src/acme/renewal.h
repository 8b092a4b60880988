// Keeps one certificate: gets it by ACME, and a new one when two thirds of its life are over. Blocks,
// connects and writes files: for a process outside the sandbox. One thread.
//
// What it leaves in its folder, all of it for its owner alone:
//   account.pem       the key of the account with the authority; made once
//   certificate.pem   the chain, then its key; replaced whole
//   challenges.json   what the server is to answer the authority: {"http": {TOKEN: TEXT},
//                     "tls": {NAME: {"certificate": PEM, "key": PEM}}}; empty objects when nobody asks
//   status.json       how it stands, for `pier acme status`
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "acme/order.h"
#include "base/result.h"
#include "base/time.h"

namespace pier::acme {

struct RenewalSettings {
    std::string directory, contact;
    std::vector<std::string> domains;
    std::string challenge_type;
    std::string ca_file;                // whom the authority's web server is believed; empty: the system's
    std::string eab_kid, eab_key_file;  // both or none
    std::string folder;
};

class Renewal {
  public:
    struct Hooks {
        // challenges.json has changed: true when the server has taken it up.
        std::function<bool()> challenges_changed;
        // There is a new certificate.pem.
        std::function<void()> certificate_changed;
        // Waits; false: the process is to end.
        std::function<bool(std::chrono::seconds)> wait;
    };
    Renewal(RenewalSettings settings, Hooks hooks);

    // When attempt() is to be called next.
    Time due() const { return due_; }
    // One attempt to get a certificate; logs how it went.
    void attempt();

    // After `failures` in a row: soon where nobody answered, with patience where the authority refused (it
    // counts failures, and bars who comes too often). At least what it says itself.
    static std::chrono::seconds pause_after(int failures, bool refused,
                                            std::optional<std::chrono::seconds> retry_after);

  private:
    // `refused`: by the authority.
    struct Failure {
        std::string text;
        bool refused = false;
        std::optional<std::chrono::seconds> retry_after{};
    };
    struct Obtained {
        std::string chain;
        std::optional<Failure> failure{};
    };

    void schedule();
    std::optional<Failure> obtain();
    Obtained drive(Order& order);
    Result<Answer> ask(const Ask& what) const;
    Result<Key> account_key() const;
    Result<std::string> eab_key() const;
    Result<void> publish(const std::vector<Challenge>& challenges) const;
    void write_status(std::string_view state) const;
    std::string path(std::string_view name) const { return settings_.folder + '/' + std::string(name); }

    const RenewalSettings settings_;
    const Hooks hooks_;
    Time due_{}, tried_{}, until_{};
    int failures_ = 0;
    std::string failure_;
};

}  // namespace pier::acme
