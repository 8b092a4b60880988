// Where the guard's memory lies between two runs of the server: guard.json in the data folder
// (docs/disk-format.md). One thread at a time; waits for the disk.
#pragma once

#include <string>

#include "auth/guard.h"
#include "base/result.h"

namespace pier::program {

class GuardFile {
  public:
    // Both outlive it.
    GuardFile(auth::Guard& guard, const std::string& data_folder);

    // What was saved, if anything was. A file that is damaged is told in the log, and the guard begins anew:
    // it is no reason not to serve mail.
    void load();
    // Replaces the file as a whole. A failure is told in the log once, until it works again.
    void save();

  private:
    Result<void> write(const std::string& text) const;
    auth::Guard& guard_;
    const std::string path_;
    bool said_failure_ = false;
};

}  // namespace pier::program
