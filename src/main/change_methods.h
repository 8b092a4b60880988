// The management method that shows what was changed. `api` keeps the references.
//
//   changes.list  [what], [subject], [since_s], [count]
//                 -> {"changes": […], "older": how many more there are, "unreadable": lines that are none}
//
// The latest `count` (50), the oldest of them first, each as in main/change.h; since_s: of the last seconds.
#pragma once

#include "admin/api.h"
#include "base/time.h"
#include "main/change_log.h"

namespace pier::program {

void add_change_methods(admin::Api& api, const ChangeLog& changes, Clock clock);

}  // namespace pier::program
