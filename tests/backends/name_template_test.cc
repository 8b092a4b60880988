#include "backends/name_template.h"

#include <gtest/gtest.h>

namespace pier::backends {
namespace {

std::string bracketed(std::string_view text) {
    return "<" + std::string(text) + ">";
}

std::string filled(std::string_view text, std::string_view name) {
    const auto pieces = parse_name_template(text);
    return pieces ? fill(*pieces, name, bracketed) : "error: " + pieces.error().text;
}

TEST(NameTemplate, puts_the_parts_of_the_name_in_place) {
    EXPECT_EQ(filled("u=%u n=%n d=%d", "ada@example.org"), "u=<ada@example.org> n=<ada> d=<example.org>");
    EXPECT_EQ(filled("%u%u", "ada"), "<ada><ada>");
    EXPECT_EQ(filled("%n|%d", "a@b@c"), "<a@b>|<c>");
}

TEST(NameTemplate, a_name_without_a_domain_is_all_local) {
    EXPECT_EQ(filled("%n@%d", "ada"), "<ada>@<>");
}

TEST(NameTemplate, two_percent_signs_are_one) {
    EXPECT_EQ(filled("100%% of %%u", "ada"), "100% of %u");
    EXPECT_EQ(filled("%%%u%%", "ada"), "%<ada>%");
}

TEST(NameTemplate, what_a_name_holds_is_not_read_as_a_template) {
    EXPECT_EQ(filled("%u", "%n%d%%"), "<%n%d%%>");
}

TEST(NameTemplate, plain_text_and_nothing_stay_as_they_are) {
    EXPECT_EQ(filled("", "ada"), "");
    EXPECT_EQ(filled("plain", "ada"), "plain");
}

TEST(NameTemplate, says_where_an_unknown_place_stands) {
    const auto unknown = parse_name_template("name = %x");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().kind, ErrorKind::invalid);
    EXPECT_NE(unknown.error().text.find("%x at character 8"), std::string::npos) << unknown.error().text;
    const auto cut = parse_name_template("a%");
    ASSERT_FALSE(cut);
    EXPECT_NE(cut.error().text.find("character 2"), std::string::npos) << cut.error().text;
}

}  // namespace
}  // namespace pier::backends
