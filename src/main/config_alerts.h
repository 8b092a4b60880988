// What the file says in [alerts] and [[alerts.channel]]. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "main/config.h"
#include "main/config_file.h"

namespace pier::program {

inline constexpr std::size_t alert_channels_max = 16;

// Of sections().
Section alerts_section();
Section alerts_channel_section();

// Gives channels without a name the word of their kind. Of finish().
void finish_alerts(Config& config);

// Adds what is wrong across their values to loaded.problems.
void check_alerts(Loaded& loaded);

// The ports of other servers to which channels connect, and whether any does: then it looks names up.
std::vector<std::uint16_t> alert_ports(const Config& config);

}  // namespace pier::program
