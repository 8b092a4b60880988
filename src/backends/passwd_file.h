// Back ends of the kind passwd-file: users in a file as Dovecot has it (passwd_line.h). It is read again when
// it has changed. A line that is broken is passed over, and the log is told its number. A file that is
// missing, cannot be read or has no user at all is an outage.
#pragma once

#include "backends/source.h"

namespace pier::backends {

Result<MakeSource> open_passwd_file(const Settings& settings);

}  // namespace pier::backends
