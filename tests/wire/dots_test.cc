#include "wire/dots.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wire/splits.h"

namespace pier::wire {

namespace {

std::string stuff(const std::vector<std::string_view>& blocks) {
    DotStuffer stuffer;
    std::string out;
    const auto emit = [&](std::string_view piece) { out.append(piece); };
    for (const auto block : blocks)
        stuffer.feed(block, emit);
    stuffer.finish(emit);
    return out;
}

struct Unstuffed {
    std::string message;
    bool done = false;
    std::size_t used = 0;  // octets of all blocks together
    std::uint64_t longest_line_octets = 0;
};

Unstuffed unstuff(const std::vector<std::string_view>& blocks) {
    DotUnstuffer unstuffer;
    Unstuffed result;
    for (const auto block : blocks)
        result.used += unstuffer.feed(block, result.message);
    result.done = unstuffer.done();
    result.longest_line_octets = unstuffer.longest_line_octets();
    return result;
}

TEST(DotStuffer, messages) {
    const std::pair<std::string_view, std::string_view> cases[] = {
        {"", ".\r\n"},
        {"a", "a\r\n.\r\n"},
        {"a\r\n", "a\r\n.\r\n"},
        {"\r\n", "\r\n.\r\n"},
        {".", "..\r\n.\r\n"},
        {".\r\n", "..\r\n.\r\n"},
        {"..\r\n", "...\r\n.\r\n"},
        {"a.b\r\n.c\r\n", "a.b\r\n..c\r\n.\r\n"},
        {"a\r\n.\r\n.\r\nb.\r\n", "a\r\n..\r\n..\r\nb.\r\n.\r\n"},
        {"a\n.b\r\n", "a\n..b\r\n.\r\n"},  // a lenient client must not see an end
        {"a\n", "a\n\r\n.\r\n"},
        {"a\r", "a\r\r\n.\r\n"},
        {"\n", "\n\r\n.\r\n"},
    };
    for (const auto& [message, expected] : cases) {
        for_every_split(message, [&](const std::vector<std::string_view>& blocks) {
            EXPECT_EQ(stuff(blocks), expected) << testing::PrintToString(message);
        });
    }
}

TEST(DotStuffer, an_unremarkable_block_is_one_piece_that_is_not_copied) {
    DotStuffer stuffer;
    const std::string block = "Subject: a.b.c\r\n\r\nNo line here begins with a dot.\r\n";
    std::vector<std::string_view> pieces;
    stuffer.feed(block, [&](std::string_view piece) { pieces.push_back(piece); });
    ASSERT_EQ(pieces.size(), 1U);
    EXPECT_EQ(pieces[0].data(), block.data());
    EXPECT_EQ(pieces[0].size(), block.size());
}

TEST(DotUnstuffer, data) {
    const std::pair<std::string_view, std::string_view> cases[] = {
        {".\r\n", ""},
        {"a\r\n.\r\n", "a\r\n"},
        {"\r\n.\r\n", "\r\n"},
        {"..\r\n.\r\n", ".\r\n"},
        {"...\r\n.\r\n", "..\r\n"},
        {".a\r\n.\r\n", "a\r\n"},  // RFC 5321 §4.5.2: the first dot goes, whatever follows
        {"a\r\n..\r\n..b\r\n.\r\n", "a\r\n.\r\n.b\r\n"},
        {"a.\r\nb\r\n.\r\n", "a.\r\nb\r\n"},
        {"a\nb\r\n.\r\n", "a\r\nb\r\n"},  // bare LF becomes CRLF
        {"\n\n\r\n.\r\n", "\r\n\r\n\r\n"},
        {"a\rb\r\n.\r\n", "a\rb\r\n"},  // a lone CR is kept
        {"a\r\r\n.\r\n", "a\r\r\n"},
        {"a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n"},
    };
    for (const auto& [text, message] : cases) {
        const std::string with_next = std::string(text) + "NOOP\r\n";
        for_every_split(with_next, [&](const std::vector<std::string_view>& blocks) {
            const Unstuffed result = unstuff(blocks);
            EXPECT_TRUE(result.done) << testing::PrintToString(text);
            EXPECT_EQ(result.message, message);
            EXPECT_EQ(result.used, text.size());
        });
    }
}

// Attack 30: everything that other servers have taken for the end of the data.
TEST(DotUnstuffer, smuggling_only_crlf_dot_crlf_ends_the_data) {
    using namespace std::string_view_literals;
    const std::pair<std::string_view, std::string_view> cases[] = {
        {"x\n.\n"sv, "x\r\n.\r\n"sv},
        {"x\r.\r"sv, "x\r.\r"sv},
        {"x\r.\n"sv, "x\r.\r\n"sv},
        {"x\n.\r"sv, "x\r\n.\r"sv},
        {"x\n.\r\n"sv, "x\r\n.\r\n"sv},
        {"x\r.\r\n"sv, "x\r.\r\n"sv},
        {"x\r\n.\n"sv, "x\r\n\r\n"sv},
        {"x\r\n.\r"sv, "x\r\n"sv},
        {"x\r\n\0.\r\n"sv, "x\r\n\0.\r\n"sv},
        {"x\r\n.\0\r\n"sv, "x\r\n\0\r\n"sv},
        {"x\r\n. \r\n"sv, "x\r\n \r\n"sv},
        {"x\r\n.\r\r\n"sv, "x\r\n\r\r\n"sv},
        {"x\n\n.\r\n"sv, "x\r\n\r\n.\r\n"sv},
        {"\n.\r\n"sv, "\r\n.\r\n"sv},
        {"x.\r\n"sv, "x.\r\n"sv},
    };
    for (const auto& [text, message] : cases) {
        for_every_split(text, [&](const std::vector<std::string_view>& blocks) {
            const Unstuffed result = unstuff(blocks);
            EXPECT_FALSE(result.done) << testing::PrintToString(text);
            EXPECT_EQ(result.message, message) << testing::PrintToString(text);
            EXPECT_EQ(result.used, text.size());
        });
        // What was a fake end becomes part of the message, and the true end still works.
        const Unstuffed ended = unstuff({text, "MAIL FROM:<a@b>\r\n.\r\n"});
        EXPECT_TRUE(ended.done) << testing::PrintToString(text);
        EXPECT_NE(ended.message.find("MAIL FROM"), std::string::npos);
    }
}

TEST(DotUnstuffer, used_up_after_the_end) {
    DotUnstuffer unstuffer;
    std::string message;
    EXPECT_EQ(unstuffer.feed("a\r\n.\r\nRSET\r\n", message), 6U);
    EXPECT_EQ(unstuffer.feed("RSET\r\n", message), 0U);
    EXPECT_EQ(message, "a\r\n");
}

TEST(DotUnstuffer, longest_line) {
    EXPECT_EQ(unstuff({".\r\n"}).longest_line_octets, 0U);
    EXPECT_EQ(unstuff({"ab\r\nabcd\r\na\r\n.\r\n"}).longest_line_octets, 6U);
    EXPECT_EQ(unstuff({"ab\nabcd\na\n"}).longest_line_octets, 6U);
    EXPECT_EQ(unstuff({"ab\r\n12345678"}).longest_line_octets, 8U);
    EXPECT_EQ(unstuff({"1234", "5678", "9"}).longest_line_octets, 9U);
}

TEST(Dots, any_message_with_crlf_lines_comes_back) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 2000; ++round) {
        std::string message;
        const std::size_t parts = random() % 40;
        for (std::size_t i = 0; i < parts; ++i) {
            constexpr std::string_view alphabet[] = {".", "..", "\r\n", "\r\n.", "a", "\r", "b\r\n"};
            message += alphabet[random() % std::size(alphabet)];
        }
        if (!message.empty()) message += "\r\n";
        const std::size_t cut = random() % (message.size() + 1);
        const std::string text =
            stuff({std::string_view(message).substr(0, cut), std::string_view(message).substr(cut)});
        const Unstuffed back = unstuff({text});
        EXPECT_TRUE(back.done);
        EXPECT_EQ(back.message, message);
        EXPECT_EQ(back.used, text.size());
    }
}

}  // namespace

}  // namespace pier::wire
