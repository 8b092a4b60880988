// The scripts' own format: a script that is misread must not pass as a test.
#include <stdexcept>

#include <gtest/gtest.h>

#include "support/dialogue.h"

namespace pier::test {

namespace {

using namespace std::string_literals;

TEST(DialogueFormat, steps) {
    const Dialogue dialogue = parse_dialogue(
        "# comment\n\nC: RETR 1\nS: +OK 120 octets\nS: ~\\+OK [0-9]+\n! mail \"a b\\r\\n\" c\nC:\nS:\nC: "
        "half \\\nC: \\x00\\xfF\\0\\\\\n",
        "name");
    ASSERT_EQ(dialogue.steps.size(), 8U);
    EXPECT_EQ(dialogue.steps[0].text, "RETR 1\r\n");
    EXPECT_EQ(dialogue.steps[0].line, 3);
    EXPECT_TRUE(dialogue.steps[1].matches("+OK 120 octets"));
    EXPECT_FALSE(dialogue.steps[1].matches("+OK 120 octets "));
    EXPECT_TRUE(dialogue.steps[2].matches("+OK 7"));
    EXPECT_FALSE(dialogue.steps[2].matches("x+OK 7"));
    EXPECT_EQ(dialogue.steps[3].words, (std::vector<std::string>{"mail", "a b\r\n", "c"}));
    EXPECT_EQ(dialogue.steps[4].text, "\r\n");
    EXPECT_TRUE(dialogue.steps[5].matches(""));
    EXPECT_EQ(dialogue.steps[6].text, "half");
    EXPECT_EQ(dialogue.steps[7].text, "\0\xff\0\\\r\n"s);
    EXPECT_TRUE(dialogue.has_directive("mail"));
    EXPECT_FALSE(dialogue.has_directive("a b\r\n"));
}

TEST(DialogueFormat, malformed_scripts_are_refused) {
    for (const char* script : {"", "# nothing\n", "c: STAT\n", "C:STAT\n", "STAT\n", "!tls\n", "! \n",
                               "! mail \"open\n", "C: \\q\n", "C: \\x1\n", "C: \\xgg\n", "C: x\\\n"}) {
        EXPECT_THROW(parse_dialogue(script, "name"), std::runtime_error) << script;
    }
}

}  // namespace

}  // namespace pier::test
