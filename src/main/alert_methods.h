// The management methods of alerts.
//
//   alert.list                         -> {"alerts": […], "channels": […], "dropped": N}
//   alert.ack   key, by, [seconds]     -> {}; without seconds until it is well or worse
//   alert.test  [channel]              -> {"tried": [{"channel", "error"}, …]}; error null: it has taken it
#pragma once

#include "admin/api.h"
#include "main/alerting.h"

namespace pier::program {

// `alerting` outlives the methods.
void add_alert_methods(admin::Api& api, Alerting& alerting);

}  // namespace pier::program
