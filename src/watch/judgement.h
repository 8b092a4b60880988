// How findings are gathered while a probe is judged; inside findings.cc and findings_tls.cc. One thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "watch/findings.h"

namespace pier::watch {

class Judgement {
  public:
    void add(Severity severity, std::string code, std::string what, std::string evidence, std::string step) {
        findings_.push_back(
            {severity, std::move(code), std::move(what), std::move(evidence), std::move(step)});
    }
    // The worst first, else in the order in which they were added.
    std::vector<Finding> take();

  private:
    std::vector<Finding> findings_;
};

// Versions, ciphers, certificates, injected commands.
void judge_tls(Judgement& findings, const Probe& probe, const Rules& rules);

}  // namespace pier::watch
