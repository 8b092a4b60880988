#include "pop3/commands.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace pier::pop3 {

namespace {

TEST(Commands, the_table_is_sound) {
    std::set<std::string_view> verbs;
    for (const Command& command : commands()) {
        EXPECT_TRUE(verbs.insert(command.verb).second) << command.verb;
        EXPECT_EQ(find_command(command.verb), &command);
        EXPECT_LE(command.args_min, command.args_max) << command.verb;
        EXPECT_TRUE(command.args_max <= 2 || command.args_max == rest_of_line) << command.verb;
        EXPECT_EQ(command.usage.empty(), command.args_max == 0) << command.verb;
        EXPECT_TRUE(command.reference.starts_with("RFC ") || command.verb == "XCLIENT") << command.verb;
        EXPECT_NE(command.states & in_both, 0U) << command.verb;
    }
    EXPECT_EQ(verbs.size(), 17U);
}

TEST(Commands, only_whole_verbs_are_found) {
    EXPECT_NE(find_command("stat"), nullptr);
    EXPECT_NE(find_command("STAT "), nullptr);
    EXPECT_NE(find_command("RETR 1"), nullptr);
    for (const std::string_view line : {"", " ", " STAT", "STA", "STATS", "STAT\t", "RETR\t1", "STAT\r"}) {
        EXPECT_EQ(find_command(line), nullptr) << line;
    }
}

TEST(Commands, arguments) {
    const Command& top = *find_command("TOP");
    EXPECT_EQ(split_arguments(top, "TOP 1 2")->words[1], "2");
    EXPECT_EQ(split_arguments(top, "top   12   34  ")->words[0], "12");
    EXPECT_FALSE(split_arguments(top, "TOP"));
    EXPECT_FALSE(split_arguments(top, "TOP 1"));
    EXPECT_FALSE(split_arguments(top, "TOP 1   "));
    EXPECT_FALSE(split_arguments(top, "TOP 1 2 3"));

    const Command& pass = *find_command("PASS");
    EXPECT_EQ((*split_arguments(pass, "PASS a  b "))[0], "a  b ");
    EXPECT_EQ((*split_arguments(pass, "PASS  "))[0], " ");
    EXPECT_FALSE(split_arguments(pass, "PASS "));
    EXPECT_FALSE(split_arguments(pass, "PASS"));

    const Command& stat = *find_command("STAT");
    EXPECT_EQ(split_arguments(stat, "STAT   ")->count, 0U);
    EXPECT_FALSE(split_arguments(stat, "STAT 1"));
}

TEST(Commands, numbers) {
    EXPECT_EQ(parse_number("0"), 0U);
    EXPECT_EQ(parse_number("00001"), 1U);
    EXPECT_EQ(parse_number("4294967296"), std::uint64_t{1} << 32);
    EXPECT_EQ(parse_number("18446744073709551615"), UINT64_MAX);
    for (const std::string_view word :
         {"", "-1", "-0", "+1", " 1", "1 ", "1x", "x", "0x1", "1.0", "1e3", "18446744073709551616",
          "36893488147419103232", "99999999999999999999999", "١"}) {
        EXPECT_FALSE(parse_number(word)) << word;
    }
}

}  // namespace

}  // namespace pier::pop3
