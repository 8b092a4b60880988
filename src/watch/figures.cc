#include "watch/figures.h"

#include <algorithm>
#include <array>

#include <boost/crc.hpp>
#include <fmt/format.h>

#include "watch/findings.h"

namespace pier::watch {
namespace {

constexpr std::size_t name_octets_max = 56, name_octets_kept = 46;
constexpr std::array<std::string_view, 6> kept_phases{"connect", "greeting", "tls",
                                                      "login",   "status",   "retrieve"};
constexpr std::array<std::string_view, 2> only_thorough{"verify", "relay"};

double seconds(std::chrono::microseconds time) {
    return std::chrono::duration<double>(time).count();
}

}  // namespace

std::string short_name(std::string_view name) {
    if (name.size() <= name_octets_max) return std::string(name);
    boost::crc_32_type crc;
    crc.process_bytes(name.data(), name.size());
    return fmt::format("{}~{:08x}", name.substr(0, name_octets_kept), crc.checksum());
}

std::string series_of(const Target& target, std::string_view figure) {
    return fmt::format("probe.{}.{}", short_name(target.text()), figure);
}

double comparable_seconds(const Probe& probe) {
    auto time = probe.total;
    for (const Phase& phase : probe.phases)
        if (std::ranges::find(only_thorough, phase.name) != only_thorough.end()) time -= phase.time;
    return std::max(0.0, seconds(time));
}

std::vector<Figure> figures_of(const Probe& probe) {
    std::vector<Figure> figures;
    const auto add = [&](std::string_view figure, double value) {
        figures.push_back({series_of(probe.target, figure), value});
    };
    add("up", probe.failure ? 0 : 1);
    if (!probe.reachable()) return figures;
    if (!probe.failure) add("total_s", comparable_seconds(probe));
    for (const Phase& phase : probe.phases) {
        const bool failed = probe.failure && probe.failure->phase == phase.name;
        if (!failed && std::ranges::find(kept_phases, phase.name) != kept_phases.end())
            add(phase.name + "_s", seconds(phase.time));
    }
    if (probe.tls && !probe.tls->chain.empty())
        add("certificate_days", days_between(probe.begun, probe.tls->chain.front().not_after));
    return figures;
}

std::vector<Figure> figures_of(const Canary& canary, std::string_view name) {
    std::vector<Figure> figures;
    const auto add = [&](std::string_view figure, double value) {
        figures.push_back({fmt::format("canary.{}.{}", short_name(name), figure), value});
    };
    const bool well = canary.came && canary.unchanged;
    add("up", well ? 1 : 0);
    if (!canary.came) return figures;
    std::chrono::microseconds total{};
    for (const Phase& phase : canary.phases) {
        if (phase.name == "wait") add("wait_s", seconds(phase.time));
        if (phase.name.find('.') == std::string::npos) total += phase.time;
    }
    add("total_s", seconds(total));
    return figures;
}

}  // namespace pier::watch
