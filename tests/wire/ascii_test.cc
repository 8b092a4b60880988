#include "wire/ascii.h"

#include <gtest/gtest.h>

namespace pier::wire {

namespace {

TEST(Ascii, only_the_26_letters_change) {
    for (int i = 0; i < 256; ++i) {
        const char c = static_cast<char>(i);
        EXPECT_EQ(ascii_upper(c), i >= 'a' && i <= 'z' ? static_cast<char>(i - 32) : c) << i;
        EXPECT_EQ(ascii_lower(c), i >= 'A' && i <= 'Z' ? static_cast<char>(i + 32) : c) << i;
    }
}

TEST(Ascii, words) {
    EXPECT_EQ(ascii_upper(std::string_view("Retr-1é")), "RETR-1é");
    EXPECT_EQ(ascii_lower(std::string_view("Retr-1É")), "retr-1É");
    EXPECT_TRUE(ascii_equal("ReTr", "rEtR"));
    EXPECT_TRUE(ascii_equal("", ""));
    EXPECT_FALSE(ascii_equal("RETR", "RET"));
    EXPECT_FALSE(ascii_equal("RET", "RETR"));
    EXPECT_FALSE(ascii_equal("@", "`"));  // 32 apart, but no letters
    EXPECT_TRUE(ascii_starts_with("from:<a>", "FROM:"));
    EXPECT_TRUE(ascii_starts_with("FROM:", "FROM:"));
    EXPECT_FALSE(ascii_starts_with("FROM", "FROM:"));
}

}  // namespace

}  // namespace pier::wire
