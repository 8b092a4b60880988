// The sections [delivery] and [filter]: their fields, the rules across values, and what they mean to who does
// it.
#pragma once

#include "delivery/delivery.h"
#include "filter/filter.h"
#include "main/config.h"
#include "main/config_file.h"

namespace pier::program {

Section delivery_section();
Section filter_section();

// What is wrong with them, beside what each field says.
void check_delivery(Loaded& loaded);
void check_filter(Loaded& loaded);

delivery::Settings delivery_settings(const Config& config);
filter::Settings filter_settings(const Config& config);
// Whether what comes in by such listeners is looked at: "smtp", "submission", "lmtp".
bool is_filtered(const Config& config, std::string_view listeners);

}  // namespace pier::program
