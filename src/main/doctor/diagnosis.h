// What the doctor's facts mean: findings, each with its cause in a plain sentence, what was seen, and the
// command or change that mends it. Every code is described in docs/doctor.md. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include <boost/json/array.hpp>

#include "main/doctor/facts.h"

namespace pier::program::doctor {

// From where on something is too little, or too slow. A threshold is reached when it is equalled.
struct Thresholds {
    std::uint64_t disk_octets_critical = 64ull << 20, disk_octets_warning = 10ull << 30;
    double disk_share_warning = 0.05;  // and less than disk_octets_warning
    double inode_share_warning = 0.02;
    std::uint64_t memory_octets_min = 64ull << 20;
    std::chrono::seconds clock_ahead_max{300};
    std::chrono::milliseconds phase_max{3000}, dns_max{2000};
    std::chrono::milliseconds sync_max{1000};  // of the disk, on average
    int certificate_days_min = 14;
};

// The worst first.
std::vector<watch::Finding> diagnose(const Facts& facts, const Thresholds& thresholds);

// The gates of doctor.login: those that stop or hold a login, in their order.
std::vector<watch::Finding> login_findings(const boost::json::array& gates);

}  // namespace pier::program::doctor
