#include "base/exposition.h"

#include <cmath>
#include <memory>

#include <gtest/gtest.h>

namespace pier::metrics {
namespace {

constexpr Description table[] = {
    {"a_build", Kind::info, "", {"version"}, "What runs."},
    {"a_seen", Kind::counter, "", {"listener", "reason"}, "How often; with \"quotes\"."},
    {"a_bytes", Kind::gauge, "bytes", {}, "How much."},
    {"a_time_seconds", Kind::histogram, "seconds", {"command"}, "How long."},
};

TEST(Page, IsOpenMetrics) {
    Page page(table);
    page.add("a_bytes", 1234567890123);
    page.add("a_seen", 2, {"pop3", "rate"});
    page.add("a_build", 1, {"0.1"});
    EXPECT_EQ(page.text(Format::openmetrics),
              "# TYPE a_build info\n"
              "# HELP a_build What runs.\n"
              "a_build_info{version=\"0.1\"} 1\n"
              "# TYPE a_seen counter\n"
              "# HELP a_seen How often; with \\\"quotes\\\".\n"
              "a_seen_total{listener=\"pop3\",reason=\"rate\"} 2\n"
              "# TYPE a_bytes gauge\n"
              "# UNIT a_bytes bytes\n"
              "# HELP a_bytes How much.\n"
              "a_bytes 1234567890123\n"
              "# EOF\n");
}

TEST(Page, IsPrometheusText) {
    Page page(table);
    page.add("a_build", 1, {"0.1"});
    page.add("a_seen", 2, {"pop3", "rate"});
    EXPECT_EQ(page.text(Format::prometheus),
              "# TYPE a_build_info gauge\n"
              "# HELP a_build_info What runs.\n"
              "a_build_info{version=\"0.1\"} 1\n"
              "# TYPE a_seen_total counter\n"
              "# HELP a_seen_total How often; with \"quotes\".\n"
              "a_seen_total{listener=\"pop3\",reason=\"rate\"} 2\n");
}

TEST(Page, AHistogramCountsUpToEachBound) {
    const auto owned = std::make_unique<Histogram>();  // the stack of a sanitizer is not aligned so far
    Histogram& histogram = *owned;
    histogram.observe(std::chrono::milliseconds(2), 3);
    histogram.observe(std::chrono::minutes(2));
    Page page(table);
    page.add("a_time_seconds", histogram.values(), {"RETR"});
    const std::string text = page.text(Format::openmetrics);
    for (const char* line :
         {"a_time_seconds_bucket{command=\"RETR\",le=\"0.001\"} 0\n",
          "a_time_seconds_bucket{command=\"RETR\",le=\"0.0025\"} 3\n",
          "a_time_seconds_bucket{command=\"RETR\",le=\"1.0\"} 3\n",
          "a_time_seconds_bucket{command=\"RETR\",le=\"60.0\"} 3\n",
          "a_time_seconds_bucket{command=\"RETR\",le=\"+Inf\"} 4\n",
          "a_time_seconds_count{command=\"RETR\"} 4\n", "a_time_seconds_sum{command=\"RETR\"} 120.006\n"})
        EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

TEST(Page, LabelsThatAreAddedTwiceAreOne) {
    Page page(table);
    page.add("a_seen", 2, {"pop3", "rate"});
    page.add("a_seen", 5, {"pop3", "rate"});
    page.add("a_seen", 1, {"pop3", "network"});
    const std::string text = page.text(Format::openmetrics);
    EXPECT_NE(text.find("reason=\"rate\"} 7\n"), std::string::npos);
    EXPECT_NE(text.find("reason=\"network\"} 1\n"), std::string::npos);
}

TEST(Page, ALabelCannotBreakItsLine) {
    Page page(table);
    page.add("a_seen", 1, {"a\"b\\c\nd", ""});
    EXPECT_NE(page.text(Format::openmetrics).find("listener=\"a\\\"b\\\\c\\nd\",reason=\"\"} 1\n"),
              std::string::npos);
}

TEST(Page, NumbersThatAreNone) {
    for (const auto& [value, text] : {std::pair(HUGE_VAL, "+Inf"), std::pair(-HUGE_VAL, "-Inf"),
                                      std::pair(std::nan(""), "NaN"), std::pair(0.25, "0.25")}) {
        Page page(table);
        page.add("a_bytes", value);
        EXPECT_NE(page.text(Format::openmetrics).find(std::string("\na_bytes ") + text + "\n"),
                  std::string::npos);
    }
}

TEST(Accept, DecidesTheFormat) {
    struct Row {
        const char* accept;
        Format format;
    };
    const Row rows[] = {
        {"", Format::prometheus},
        {"*/*", Format::prometheus},
        {"text/html", Format::prometheus},
        {"text/plain", Format::prometheus},
        {"application/openmetrics-text", Format::openmetrics},
        {"application/openmetrics-text; version=1.0.0; charset=utf-8", Format::openmetrics},
        // Prometheus 2.42
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
         "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         Format::openmetrics},
        {"application/openmetrics-text;version=2.0.0, text/plain", Format::prometheus},
        {"application/openmetrics-text;q=0", Format::prometheus},
        {"application/openmetrics-text;q=0.5,text/plain;q=0.6", Format::prometheus},
        {"application/openmetrics-text;q=0.6,text/plain;q=0.6", Format::openmetrics},
        {"application/openmetrics-text;q=banana", Format::prometheus},
        {"application/openmetrics-text;q=1.0", Format::openmetrics},
        {",,;;=,;q=,application/openmetrics-text", Format::openmetrics},
    };
    for (const Row& row : rows)
        EXPECT_EQ(format_for(row.accept), row.format) << row.accept;
}

}  // namespace
}  // namespace pier::metrics
