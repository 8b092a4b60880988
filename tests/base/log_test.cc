#include "base/log.h"

#include <gtest/gtest.h>

namespace pier::log {
namespace {

std::string logfmt(Fields fields) {
    return format_line(Format::logfmt, Level::info, "test", fields, "");
}
std::string json(Fields fields) {
    return format_line(Format::json, Level::info, "test", fields, "");
}

TEST(LogTest, PlainValuesStandBareAndOthersAreQuoted) {
    EXPECT_EQ(logfmt({{"user", "ada"}, {"n", 3}, {"big", 18446744073709551615ull}, {"ok", true}}),
              "level=info event=test user=ada n=3 big=18446744073709551615 ok=true");
    EXPECT_EQ(logfmt({{"text", "two words"}, {"empty", ""}}),
              "level=info event=test text=\"two words\" empty=\"\"");
    EXPECT_EQ(logfmt({{"q", "a\"b\\c"}, {"e", "a=b"}}), "level=info event=test q=\"a\\\"b\\\\c\" e=\"a=b\"");
}

TEST(LogTest, JsonIsJson) {
    EXPECT_EQ(json({{"user", "ada"}, {"n", -3}, {"ok", false}}),
              R"({"level":"info","event":"test","user":"ada","n":-3,"ok":false})");
}

// Attack: a user name with line ends or escape sequences forges log lines or paints the terminal.
TEST(LogTest, ControlCharactersNeverComeOutRaw) {
    for (int c = 0; c < 256; ++c) {
        const std::string value = std::string("a") + static_cast<char>(c) + "b";
        for (const std::string& line : {logfmt({{"user", value}}), json({{"user", value}})}) {
            for (const char out : line) {
                EXPECT_GE(static_cast<unsigned char>(out), 0x20) << c;
                EXPECT_NE(out, 0x7F) << c;
                EXPECT_LT(static_cast<unsigned char>(out), 0x80) << "a lone byte is not UTF-8: " << c;
            }
        }
    }
    EXPECT_EQ(logfmt({{"user", "x\r\nlevel=error"}}), "level=info event=test user=\"x\\r\\nlevel=error\"");
    EXPECT_EQ(logfmt({{"c1",
                       "a\xC2\x9B"
                       "b"}}),
              "level=info event=test c1=\"a\\u009bb\"");
}

TEST(LogTest, Utf8StaysReadable) {
    EXPECT_EQ(logfmt({{"user", "jürgen"}}), "level=info event=test user=\"jürgen\"");
}

TEST(LogTest, TheTimeComesFirst) {
    EXPECT_EQ(format_line(Format::logfmt, Level::warning, "x", {}, "2026-11-21T20:38:26Z"),
              "time=2026-11-21T20:38:26Z level=warning event=x");
}

}  // namespace
}  // namespace pier::log
