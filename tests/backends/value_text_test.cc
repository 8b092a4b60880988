#include "backends/value_text.h"

#include <gtest/gtest.h>

namespace pier::backends {
namespace {

TEST(ValueText, yes_and_no_in_the_words_of_databases_and_directories) {
    for (const char* yes : {"t", "TRUE", "true", "Yes", "y", "on", "1"})
        EXPECT_EQ(parse_truth(yes), true) << yes;
    for (const char* no : {"f", "FALSE", "false", "No", "n", "off", "0", ""})
        EXPECT_EQ(parse_truth(no), false) << no;
    for (const char* neither : {"2", "tr", " true", "disabled", "-1"})
        EXPECT_EQ(parse_truth(neither), std::nullopt) << neither;
}

TEST(ValueText, octets_are_digits_and_nothing_else) {
    EXPECT_EQ(parse_octet_count("0"), 0u);
    EXPECT_EQ(parse_octet_count("18446744073709551615"), 18446744073709551615u);
    for (const char* wrong : {"", "-1", "+1", " 1", "1 ", "1.5", "1e9", "1M", "18446744073709551616"})
        EXPECT_EQ(parse_octet_count(wrong), std::nullopt) << wrong;
}

}  // namespace
}  // namespace pier::backends
