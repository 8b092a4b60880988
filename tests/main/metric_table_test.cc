// Every measurement is described, by the rules of OpenMetrics, and docs/metrics.md has the same.
#include "main/metric_table.h"

#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "main/process_figures.h"

namespace pier::program {
namespace {

using metrics::Description;

TEST(MetricTable, NamesFollowOpenMetrics) {
    const std::regex name_form("[a-z][a-z0-9_]*");
    std::set<std::string> names;
    for (const Description& one : metric_table()) {
        const std::string name(one.name);
        EXPECT_TRUE(std::regex_match(name, name_form)) << name;
        EXPECT_TRUE(name.starts_with("pier_") || name.starts_with("process_")) << name;
        EXPECT_TRUE(names.insert(name).second) << name << " is there twice";
        // The suffixes are the formats' to add, and must not collide with another metric's.
        for (const char* suffix : {"_total", "_count", "_sum", "_bucket", "_created", "_info"})
            EXPECT_FALSE(name.ends_with(suffix)) << name;
        if (one.unit.empty()) {
            EXPECT_FALSE(name.ends_with("_seconds") || name.ends_with("_bytes")) << name << " has a unit";
        } else {
            EXPECT_TRUE(name.ends_with("_" + std::string(one.unit))) << name;
        }
        EXPECT_TRUE(one.kind != metrics::Kind::histogram || one.unit == "seconds") << name;
    }
}

TEST(MetricTable, EachHasItsMeaningAndHarmlessLabels) {
    for (const Description& one : metric_table()) {
        EXPECT_GT(one.help.size(), 5u) << one.name;
        EXPECT_EQ(one.help.back(), '.') << one.name;
        EXPECT_EQ(one.help.find('|'), std::string_view::npos) << one.name << " would break its table";
        for (const std::string_view label : one.labels)
            for (const char* forbidden : {"user", "account", "name", "peer", "sender", "recipient", "le"})
                EXPECT_NE(label, forbidden) << one.name;
    }
}

TEST(MetricTable, IsWhatTheDocumentationSays) {
    const std::string file = std::string(PIER_SOURCE_DIR) + "/docs/metrics.md";
    std::ifstream in(file);
    std::stringstream text;
    text << in.rdbuf();
    const std::string begin = "<!-- the table -->\n", end = "<!-- its end -->\n";
    const std::string whole = text.str();
    const std::size_t from = whole.find(begin), to = whole.find(end);
    ASSERT_TRUE(from != std::string::npos && to != std::string::npos) << file;
    const std::string wanted = begin + metric_table_text();
    if (std::getenv("PIER_WRITE_DOCS") != nullptr)
        std::ofstream(file) << whole.substr(0, from) + wanted + whole.substr(to);
    EXPECT_EQ(whole.substr(from, to - from), wanted)
        << "run this test with PIER_WRITE_DOCS=1 to write it anew";
}

TEST(ProcessFigures, AreReadFromTheKernelsLine) {
    const auto figures = parse_process_stat(
        "4711 (pi) er (x) S 1 4711 4711 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 12345 104857600 2048 "
        "18446744073709551615 1 1 0 0 0 0 0\n",
        100, 4096);
    ASSERT_TRUE(figures);
    EXPECT_DOUBLE_EQ(figures->cpu_s, 3);
    EXPECT_EQ(figures->threads, 9u);
    EXPECT_EQ(figures->virtual_octets, 104857600u);
    EXPECT_EQ(figures->resident_octets, 2048u * 4096);
    for (const char* bad : {"", "1 (pier", "1 (pier) S 1 2 3"})
        EXPECT_FALSE(parse_process_stat(bad, 100, 4096)) << bad;
}

TEST(ProcessFigures, OfThisProcess) {
    const ProcessFiles files;
    const auto figures = files.figures();
    ASSERT_TRUE(figures);
    EXPECT_GE(figures->threads, 1u);
    EXPECT_GT(figures->resident_octets, 0u);
    const auto before = files.open_descriptors();
    std::ifstream one_more("/dev/null");
    const auto after = files.open_descriptors();
    ASSERT_TRUE(before && after);
    EXPECT_EQ(*after, *before + 1);
}

}  // namespace
}  // namespace pier::program
