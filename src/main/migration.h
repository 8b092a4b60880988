// `pier migrate` for one account: what the source has beside what is here, as a diff; and, unless that is all
// that is wanted, making it the same. Blocks; one thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "main/backend.h"
#include "migrate/import.h"
#include "migrate/plan.h"
#include "migrate/source.h"

namespace pier::program {

struct MigrationOptions {
    bool dry_run = false;
    bool remove = false;  // what was imported once and is gone at the source
    std::uint64_t message_octets_max = 64ull << 20;
    std::function<void(const migrate::Progress&)> progress;
    std::function<bool()> stop;
};

struct MigrationReport {
    std::vector<migrate::MailboxPlan> before;  // what the source had beside what was here
    std::vector<migrate::MailboxPlan> after;   // the same behind the run; as `before` in a dry run
    std::uint64_t added = 0, changed = 0, removed = 0;
    std::uint64_t failed = 0;                // messages
    std::vector<migrate::Failure> failures;  // the first ones
    std::vector<std::string> warnings;
    std::string ended_by;  // why the run ended before its end; empty: it did not
    bool stopped = false;  // `stop` said so

    bool differs() const;  // something is not the same, or is not known to be
};

// Fails before anything is changed: no such account, or its mail cannot be listed.
Result<MigrationReport> migrate_account(Backend& backend, const std::string& account, migrate::Source& source,
                                        const MigrationOptions& options);

}  // namespace pier::program
