#include "load/report.h"

#include <algorithm>
#include <cmath>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace load {
namespace {

// Nearest rank: the smallest latency that at least this share of the operations did not exceed.
double percentile_us(const std::vector<std::uint64_t>& sorted_ns, double share) {
    if (sorted_ns.empty()) return 0;
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted_ns.size())));
    return static_cast<double>(sorted_ns[std::clamp<std::size_t>(rank, 1, sorted_ns.size()) - 1]) / 1000;
}

double ratio(double value, double of) {
    return of > 0 ? value / of : 0;
}

// Four significant digits: what is behind them is noise.
boost::json::value rounded(double value) {
    if (value == 0) return 0;
    const double step = std::pow(10, std::floor(std::log10(std::abs(value))) - 3);
    const double near = std::round(value / step) * step;
    if (step >= 1) return static_cast<std::int64_t>(std::llround(near));
    return std::strtod(fmt::format("{:.4g}", value).c_str(), nullptr);
}

}  // namespace

std::string json_report(Run& run) {
    auto& counted = run.counted;
    const auto& options = run.options;
    auto& latencies = counted.latencies_ns;
    std::sort(latencies.begin(), latencies.end());
    const auto operations = static_cast<double>(counted.operations);
    const double megabytes = static_cast<double>(counted.octets) / 1e6;

    boost::json::object report{
        {"load", to_string(options.load)},
        {"tls", to_string(options.tls)},
        {"login", to_string(options.login)},
        {"connections", options.connections},
        {"pipeline", options.pipeline},
        {"seconds", rounded(counted.seconds)},
        {"operations", counted.operations},
        {"operations_per_s", rounded(ratio(operations, counted.seconds))},
        {"message_octets", counted.octets},
        {"message_octets_per_s", rounded(ratio(static_cast<double>(counted.octets), counted.seconds))},
        {"bodies_verified", counted.bodies_verified},
        {"latency_us",
         {{"p50", rounded(percentile_us(latencies, 0.5))},
          {"p99", rounded(percentile_us(latencies, 0.99))},
          {"p99.9", rounded(percentile_us(latencies, 0.999))},
          {"max", rounded(percentile_us(latencies, 1))}}},
        {"own_cpu_us_per_operation", rounded(ratio(static_cast<double>(counted.own_cpu_us), operations))},
        {"own_cpu_share", rounded(ratio(static_cast<double>(counted.own_cpu_us) / 1e6, counted.seconds))},
    };
    if (options.server_pid) {
        const auto server_us = static_cast<double>(counted.server_cpu_us);
        report["server_cpu_us_per_operation"] = rounded(ratio(server_us, operations));
        if (counted.octets > 0) report["server_cpu_us_per_megabyte"] = rounded(ratio(server_us, megabytes));
    }
    if (counted.server_pss_octets > 0) {
        const auto grown = static_cast<double>(counted.server_pss_octets) -
                           static_cast<double>(counted.server_pss_before_octets);
        report["server_pss_before_octets"] = counted.server_pss_before_octets;
        report["server_pss_octets"] = counted.server_pss_octets;
        report["server_pss_octets_per_connection"] =
            rounded(grown / static_cast<double>(options.connections));
    }
    if (run.tls) {
        report["tls_version"] = run.tls->version;
        report["tls_cipher"] = run.tls->cipher;
        report["handshakes_full"] = run.tls->full_handshakes;
        report["handshakes_resumed"] = run.tls->resumed_handshakes;
    }
    return boost::json::serialize(report);
}

std::string line_report(const Run& run) {
    const auto& counted = run.counted;
    const auto& options = run.options;
    const auto operations = static_cast<double>(counted.operations);
    std::string line = fmt::format(
        "{}, {} connection{}, tls {}: {:.0f} operations/s, {:.1f} MB/s; p50 {:.0f}, p99 {:.0f}, p99.9 {:.0f} "
        "µs",
        to_string(options.load), options.connections, options.connections == 1 ? "" : "s",
        to_string(options.tls), ratio(operations, counted.seconds),
        ratio(static_cast<double>(counted.octets) / 1e6, counted.seconds),
        percentile_us(counted.latencies_ns, 0.5), percentile_us(counted.latencies_ns, 0.99),
        percentile_us(counted.latencies_ns, 0.999));
    if (options.server_pid) {
        line += fmt::format("; server {:.1f} µs CPU an operation",
                            ratio(static_cast<double>(counted.server_cpu_us), operations));
    }
    return line + fmt::format(", load generator {:.1f} µs",
                              ratio(static_cast<double>(counted.own_cpu_us), operations));
}

}  // namespace load
