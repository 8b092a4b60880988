#include "pop3/language.h"

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include <gtest/gtest.h>

#include "base/utf8.h"

namespace pier::pop3 {
namespace {

std::size_t places(std::string_view text) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find("{}", at)) != std::string_view::npos; at += 2)
        ++count;
    return count;
}

TEST(Language, TheTextsAreSortedAndWholeInEveryLanguage) {
    std::string_view before;
    for (const Text& text : texts()) {
        EXPECT_LT(before, text[0]);
        before = text[0];
        for (const std::string_view one : text) {
            EXPECT_FALSE(one.empty()) << text[0];
            EXPECT_TRUE(is_utf8(one)) << text[0];
            EXPECT_EQ(places(one), places(text[0])) << one;
            EXPECT_EQ(one.find_first_of("\r\n"), std::string_view::npos) << one;
            EXPECT_LT(one.size(), 300U) << one;
        }
        for (std::size_t i = 0; i < text[0].size(); ++i)
            EXPECT_EQ(text[0][i] & 0x80, 0) << text[0];
    }
}

// Whoever adds a reply to the sources adds it to the table; whoever takes one away takes it from there.
TEST(Language, EveryReplyOfTheSourcesIsInTheTableAndNoOther) {
    namespace fs = std::filesystem;
    std::string sources;
    for (const char* folder : {"src/pop3", "src/serve", "src/auth"})
        for (const auto& file : fs::directory_iterator(fs::path(PIER_SOURCE_DIR) / folder)) {
            if (file.path().filename() == "texts.cc") continue;
            std::ostringstream text;
            text << std::ifstream(file.path()).rdbuf();
            sources += text.str();
        }
    // Literals that the formatter has broken over two lines are one.
    sources = std::regex_replace(sources, std::regex("\"\\s*\n\\s*\""), "");
    for (const Text& text : texts()) {
        const bool built = text[0] == "This account is disabled: {}";  // "…disabled" and the detail's place
        EXPECT_TRUE(built || sources.find('"' + std::string(text[0]) + '"') != std::string::npos) << text[0];
    }
    const std::regex reply("\\b(?:ok|bad|error|say)\\(\"([^\"]+)\"");
    std::size_t found = 0;
    for (std::sregex_iterator at(sources.begin(), sources.end(), reply), end; at != end; ++at) {
        const std::string english = (*at)[1];
        if (english == "SYS/TEMP" || english == "AUTH") continue;  // response codes
        if (english.find('.') != std::string::npos && english.find(' ') == std::string::npos)
            continue;  // names of log events
        ++found;
        EXPECT_NE(translated(Language::german, english), english) << english;
    }
    EXPECT_GT(found, 25U);
}

TEST(Language, IsLookedUpByItsRange) {
    EXPECT_EQ(find_language("*"), Language::english);
    EXPECT_EQ(find_language("i-default"), Language::english);
    EXPECT_EQ(find_language("EN-gb"), Language::english);
    EXPECT_EQ(find_language("de-Latn-DE-1996"), Language::german);
    EXPECT_EQ(find_language("ja"), Language::japanese);
    for (const char* other : {"", "-", "deu", "d", "nl", "x-klingon"})
        EXPECT_FALSE(find_language(other)) << other;
}

TEST(Language, WhatIsPutInIsNoTemplate) {
    EXPECT_EQ(say(Language::german, "Maildrop is in use by {} since {}", "{}", "{0:s}"),
              "Das Postfach wird von {} benutzt, seit {0:s}");
    EXPECT_EQ(translated(Language::german, "an administrator's {} words"), "an administrator's {} words");
}

}  // namespace
}  // namespace pier::pop3
