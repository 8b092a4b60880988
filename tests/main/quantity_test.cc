#include "main/quantity.h"

#include <random>

#include <gtest/gtest.h>

namespace pier::program {
namespace {

std::uint64_t octets(std::string_view text) {
    return parse_octets(text).value();
}

std::uint64_t duration(std::string_view text) {
    return parse_duration(text).value();
}

TEST(Quantity, SizesWithEveryUnit) {
    EXPECT_EQ(octets("0"), 0u);
    EXPECT_EQ(octets("17"), 17u);
    EXPECT_EQ(octets("17 B"), 17u);
    EXPECT_EQ(octets("64 MiB"), 64u << 20);
    EXPECT_EQ(octets("64MiB"), 64u << 20);
    EXPECT_EQ(octets("64 mib"), 64u << 20);
    EXPECT_EQ(octets("1K"), 1024u);
    EXPECT_EQ(octets("1kB"), 1000u);
    EXPECT_EQ(octets("2 GB"), 2'000'000'000u);
    EXPECT_EQ(octets("1 TiB"), 1ull << 40);
}

TEST(Quantity, DurationsWithEveryUnit) {
    EXPECT_EQ(duration("0"), 0u);
    EXPECT_EQ(duration("600"), 600u);
    EXPECT_EQ(duration("90 s"), 90u);
    EXPECT_EQ(duration("10m"), 600u);
    EXPECT_EQ(duration("1h30m"), 5400u);
    EXPECT_EQ(duration("1h 30 min"), 5400u);
    EXPECT_EQ(duration("7d"), 604'800u);
    EXPECT_EQ(duration("2 weeks"), 1'209'600u);
}

TEST(Quantity, WhatIsNoQuantityIsRefusedWithAnExample) {
    for (const char* text : {"", " ", "x", "10x", "-1", "1.5 GiB", "10 m x", "MiB", "1 2", "10mm", "0x10"}) {
        EXPECT_TRUE(parse_octets(text).has_error()) << text;
        EXPECT_TRUE(parse_duration(text).has_error()) << text;
    }
    EXPECT_NE(parse_octets("64 apples").error().text.find("\"64 MiB\""), std::string::npos);
    EXPECT_NE(parse_duration("soon").error().text.find("\"10m\""), std::string::npos);
}

TEST(Quantity, NothingOverflows) {
    EXPECT_EQ(octets("18446744073709551615"), ~0ull);
    EXPECT_TRUE(parse_octets("18446744073709551616").has_error());
    EXPECT_EQ(octets("16777215 TiB"), 16777215ull << 40);
    EXPECT_TRUE(parse_octets("16777216 TiB").has_error());
    EXPECT_TRUE(parse_duration("18446744073709551615s 1s").has_error());
    EXPECT_TRUE(parse_duration("30500568904944w").has_error());
}

TEST(Quantity, WhatIsWrittenIsReadBack) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 1000; ++i) {
        const std::uint64_t number = random() >> (random() % 64);
        EXPECT_EQ(octets(format_octets(number)), number);
        EXPECT_EQ(duration(format_duration(number)), number);
    }
    EXPECT_EQ(format_octets(0), "0 B");
    EXPECT_EQ(format_octets(1000), "1000 B");
    EXPECT_EQ(format_octets(64 << 20), "64 MiB");
    EXPECT_EQ(format_duration(0), "0s");
    EXPECT_EQ(format_duration(5400), "1h30m");
    EXPECT_EQ(about_octets(1023), "1023 B");
    EXPECT_EQ(about_octets(13'002'342), "12.4 MiB");
}

}  // namespace
}  // namespace pier::program
