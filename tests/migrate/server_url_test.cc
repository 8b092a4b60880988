#include "migrate/server_url.h"

#include <gtest/gtest.h>

#include "migrate/server_text.h"

namespace pier::migrate {
namespace {

std::string read(std::string_view text) {
    const auto url = parse_server_url(text);
    return url ? url->user + " " + url->text() : "error";
}

TEST(ServerUrl, IsRead) {
    EXPECT_EQ(read("pops://ada@old.example.org"), "ada pops://old.example.org:995");
    EXPECT_EQ(read("POP3S://ada@old.example.org/"), "ada pops://old.example.org:995");
    EXPECT_EQ(read("pop3://ada@example.org@old:1110"), "ada@example.org pop3://old:1110");
    EXPECT_EQ(read("imap://old"), " imap://old:143");
    EXPECT_EQ(read("imaps://ada%40example.org@[::1]:1993"), "ada@example.org imaps://[::1]:1993");
    EXPECT_EQ(read("imaps://[::1]"), " imaps://[::1]:993");
    EXPECT_EQ(read("imap://ada*master@127.0.0.1"), "ada*master imap://127.0.0.1:143");
}

TEST(ServerUrl, MistakesAreErrors) {
    for (const char* text : {"", "old.example.org", "http://old", "pops://", "pops://ada@",
                             "pop3://old:", "pop3://old:0", "pop3://old:65536", "pop3://old:1x",
                             "pop3://[::1", "pop3://[::1]x1", "pop3://%4@old", "pop3://%zz@old"})
        EXPECT_EQ(read(text), "error") << text;
}

TEST(ServerUrl, APasswordIsRefusedAndNotShown) {
    const auto url = parse_server_url("pops://ada:secret@old");
    ASSERT_FALSE(url);
    EXPECT_EQ(url.error().text.find("secret"), std::string::npos);
}

TEST(ServerText, NothingActsOnATerminal) {
    EXPECT_EQ(shown("a\x1b[2J\r\n\tb\x7f"), "a?[2J???b?");
    EXPECT_EQ(shown("größe"), "größe");
    EXPECT_EQ(shown("\xff\x9b"), "??");
    EXPECT_EQ(shown("\xc2\x9b[2J"), "??[2J") << "a control character of C1";
    EXPECT_EQ(shown(std::string(1000, 'x')).size(), 203u);
}

}  // namespace
}  // namespace pier::migrate
