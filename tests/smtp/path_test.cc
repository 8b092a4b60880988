#include "smtp/path.h"

#include <random>

#include <gtest/gtest.h>

namespace pier::smtp {
namespace {

TEST(Address, text_is_quoted_where_it_must_be) {
    const std::pair<Address, const char*> table[] = {
        {{"ada", "example.org"}, "ada@example.org"},
        {{"a.b", "example.org"}, "a.b@example.org"},
        {{"a b", "example.org"}, "\"a b\"@example.org"},
        {{"a\"b\\c", "example.org"}, "\"a\\\"b\\\\c\"@example.org"},
        {{".a", "example.org"}, "\".a\"@example.org"},
        {{"a.", "example.org"}, "\"a.\"@example.org"},
        {{"a..b", "example.org"}, "\"a..b\"@example.org"},
        {{"a@b", "example.org"}, "\"a@b\"@example.org"},
        {{"", "example.org"}, "\"\"@example.org"},
        {{"postmaster", ""}, "postmaster"},
        {{"", ""}, ""},
        {{"\xc3\xa9ve", "example.org"}, "\xc3\xa9ve@example.org"},
    };
    for (const auto& [address, text] : table)
        EXPECT_EQ(address.text(), text);
}

// Whatever a peer writes: what is understood of it is written back so that it is understood the same.
TEST(Address, text_and_parse_agree) {
    constexpr unsigned seed = 20261121;
    std::mt19937 random(seed);
    const std::string letters = "ab.@\"\\ <>[]:1-_,%!\xc3\xa9\r\n";
    for (int round = 0; round < 200'000; ++round) {
        std::string text;
        for (auto length = random() % 12; length > 0; --length)
            text += letters[random() % letters.size()];
        const auto address = parse_address(text);
        if (!address) continue;
        const auto again = parse_address(address->text());
        ASSERT_TRUE(again) << "seed " << seed << ": " << text;
        ASSERT_EQ(again->local, address->local) << text;
        ASSERT_EQ(again->domain, address->domain) << text;
        ASSERT_EQ(address->text().find_first_of("\r\n"), std::string::npos);
    }
}

TEST(ParseAddress, whole_text_only) {
    EXPECT_EQ(parse_address("Ada@EXAMPLE.org")->text(), "Ada@example.org");
    EXPECT_EQ(parse_address("ada")->text(), "ada");
    for (const char* text : {"", "<ada@example.org>", "ada@example.org ", " ada@example.org",
                             "ada@example.org,bo", "\xff@example.org"}) {
        EXPECT_FALSE(parse_address(text)) << text;
    }
}

TEST(ParsePath, rest_is_what_follows) {
    EXPECT_EQ(parse_path("<> SIZE=1")->rest, " SIZE=1");
    EXPECT_EQ(parse_path("<ada@example.org>")->rest, "");
    EXPECT_EQ(parse_path("<\"a>b\"@example.org> X")->address.local, "a>b");
    EXPECT_TRUE(parse_path("<\xc3\xa9@example.org>")->has_utf8);
    EXPECT_FALSE(parse_path("<> \xc3\xa9")->has_utf8);
}

TEST(ParseNumber, digits_only) {
    EXPECT_EQ(parse_number("0"), 0U);
    EXPECT_EQ(parse_number("007"), 7U);
    EXPECT_EQ(parse_number("18446744073709551615"), UINT64_MAX);
    for (const char* text :
         {"", " 1", "1 ", "+1", "-1", "0x1", "1.0", "18446744073709551616", "99999999999999999999999"}) {
        EXPECT_FALSE(parse_number(text)) << text;
    }
}

}  // namespace
}  // namespace pier::smtp
