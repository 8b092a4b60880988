#include "wire/line_ends.h"

#include <string>

#include <gtest/gtest.h>

namespace pier::wire {
namespace {

bool bare(std::string_view text, std::size_t cut) {
    LineEnds ends;
    ends.feed(text.substr(0, cut));
    ends.feed(text.substr(cut));
    ends.finish();
    return ends.bare();
}

TEST(LineEnds, AreCrlfOrBareWhereverTheTextIsCut) {
    for (const std::string text : {"", "a", "\r\n", "a\r\nb\r\n", "\r\n\r\n"})
        for (std::size_t cut = 0; cut <= text.size(); ++cut)
            EXPECT_FALSE(bare(text, cut)) << testing::PrintToString(text) << " cut at " << cut;
    for (const std::string text : {"\r", "\n", "a\nb", "a\rb", "\r\r\n", "a\r\n\nb", "\n\r", "a\r\nb\r"})
        for (std::size_t cut = 0; cut <= text.size(); ++cut)
            EXPECT_TRUE(bare(text, cut)) << testing::PrintToString(text) << " cut at " << cut;
}

TEST(LineEnds, ACrMayStillGetItsLf) {
    LineEnds ends;
    ends.feed("a\r");
    EXPECT_FALSE(ends.bare());
    ends.feed("");
    ends.feed("\n");
    ends.finish();
    EXPECT_FALSE(ends.bare());
}

}  // namespace
}  // namespace pier::wire
