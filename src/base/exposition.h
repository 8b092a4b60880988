// The page that a monitoring system fetches: OpenMetrics 1.0, or the older text format of Prometheus (0.0.4),
// which differ in how a counter's name is written and in the last line. Pure.
//
//   Page page(table);                                          the table outlives it
//   page.add("pier_guard_blocked", 3);
//   page.add("pier_connections_accepted", 17, {"pop3-110"});   one value for each label of the table
//   page.text(Format::openmetrics)
//
// Only what the table describes can be shown; labels of one metric that are added twice are added up, as for
// a listener that has two sockets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/metrics.h"

namespace pier::metrics {

enum class Kind { counter, gauge, histogram, info };

inline constexpr std::size_t labels_max = 3;

struct Description {
    std::string_view name;  // without the suffixes that the formats add: _total, _bucket, _info
    Kind kind{};
    std::string_view unit{};  // "seconds", "bytes": the name ends with it; empty: a number
    std::array<std::string_view, labels_max> labels{};  // their names; empty ones at the end
    std::string_view help{};                            // one sentence or two

    std::size_t label_count() const;
};

enum class Format { openmetrics, prometheus };

// What the Content-Type field says.
std::string_view content_type(Format format);
// What a client that sends this Accept field (RFC 9110 §12.5.1) gets: OpenMetrics if it names it with a
// weight that is not smaller than text/plain's, else the older format.
Format format_for(std::string_view accept);
// The name that queries use: with _total or _info behind it.
std::string query_name(const Description& description);
std::string_view to_string(Kind kind);

class Page {
  public:
    explicit Page(std::span<const Description> table);

    using Labels = std::initializer_list<std::string_view>;  // values, in the table's order
    void add(std::string_view name, double value, Labels labels = {});
    template <class Integer>
    requires std::is_integral_v<Integer>
    void add(std::string_view name, Integer value, Labels labels = {}) {
        add(name, static_cast<double>(value), labels);
    }
    void add(std::string_view name, const Histogram::Values& values, Labels labels = {});

    std::string text(Format format) const;

  private:
    struct Sample {
        std::vector<std::string> labels;
        double value = 0;
        Histogram::Values times{};  // of a histogram
    };
    Sample* sample(std::string_view name, bool histogram, Labels labels);

    const std::span<const Description> table_;
    std::unordered_map<std::string_view, std::size_t> places_;
    std::vector<std::vector<Sample>> samples_;  // by the table's places
};

}  // namespace pier::metrics
