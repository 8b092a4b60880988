#include "wire/line_buffer.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wire/splits.h"

namespace pier::wire {

namespace {

// "text", "text<lf>" for one that ended with a bare LF, "<long>" for one over the limit.
std::vector<std::string> take_lines(LineBuffer& buffer, std::size_t octets_max) {
    std::vector<std::string> lines;
    while (const auto line = buffer.next_line(octets_max)) {
        lines.push_back(line->too_long ? "<long>" : std::string(line->text) + (line->bare_lf ? "<lf>" : ""));
    }
    return lines;
}

using Lines = std::vector<std::string>;

TEST(LineBuffer, the_same_lines_wherever_the_octets_are_cut) {
    const std::string_view text =
        "STAT\r\nLIST 1\n\r\n\n\r\r\nx\ry\r\n123456789\r\n12345678901234567890\r\nNOOP\r\nQU";
    const Lines expected = {"STAT", "LIST 1<lf>", "", "<lf>", "\r", "x\ry", "<long>", "<long>", "NOOP"};
    for_every_split(text, [&](const std::vector<std::string_view>& pieces) {
        LineBuffer buffer;
        Lines lines;
        for (const auto piece : pieces) {
            buffer.append(piece);
            for (auto& line : take_lines(buffer, 8 + 2))
                lines.push_back(std::move(line));
        }
        EXPECT_EQ(lines, expected);
        EXPECT_EQ(buffer.raw(), "QU");
    });
}

TEST(LineBuffer, limit_counts_the_line_end) {
    for (const std::string_view end : {"\r\n", "\n"}) {
        for (std::size_t octets = 9; octets <= 11; ++octets) {
            LineBuffer buffer;
            buffer.append(std::string(octets - end.size(), 'x') + std::string(end) + "NOOP\r\n");
            const auto line = buffer.next_line(10);
            ASSERT_TRUE(line);
            EXPECT_EQ(line->too_long, octets > 10) << octets;
            EXPECT_EQ(line->text.size(), octets > 10 ? 0 : octets - end.size());
            EXPECT_EQ(buffer.next_line(10)->text, "NOOP");
        }
    }
}

TEST(LineBuffer, a_line_that_can_no_longer_fit_is_told_before_its_end) {
    LineBuffer buffer;
    buffer.append(std::string(9, 'x'));
    EXPECT_FALSE(buffer.next_line(10));  // an LF would still fit
    buffer.append("x");
    EXPECT_TRUE(buffer.next_line(10)->too_long);
    EXPECT_FALSE(buffer.next_line(10));  // told once
    EXPECT_FALSE(buffer.empty());
    buffer.append("still the same line\nNOOP\r\n");
    EXPECT_EQ(take_lines(buffer, 10), Lines{"NOOP"});
    EXPECT_TRUE(buffer.empty());
}

TEST(LineBuffer, the_limit_may_change_between_lines) {
    LineBuffer buffer;
    buffer.append("123456\r\n123456\r\n123456\r\n");
    EXPECT_FALSE(buffer.next_line(8)->too_long);
    EXPECT_TRUE(buffer.next_line(7)->too_long);
    EXPECT_FALSE(buffer.next_line(8)->too_long);
}

// Attack: 1 GiB without a line end.
TEST(LineBuffer, a_line_without_end_is_told_once_and_holds_no_memory) {
    LineBuffer buffer;
    const std::string block(1 << 20, 'x');
    std::size_t told = 0;
    for (int i = 0; i < 1024; ++i) {
        buffer.append(block);
        while (buffer.next_line(512))
            ++told;
        ASSERT_LT(buffer.memory_octets(), 64U);
    }
    EXPECT_EQ(told, 1U);
    buffer.append("\r\nQUIT\r\n");
    EXPECT_EQ(take_lines(buffer, 512), Lines{"QUIT"});
}

TEST(LineBuffer, holds_no_memory_while_empty_and_little_for_half_a_line) {
    LineBuffer buffer;
    std::string many;
    for (int i = 0; i < 2000; ++i)
        many += "NOOP some argument\r\n";
    buffer.append(many);
    EXPECT_EQ(take_lines(buffer, 512).size(), 2000U);
    EXPECT_TRUE(buffer.empty());
    EXPECT_LT(buffer.memory_octets(), 32U);

    buffer.append(many + "QU");
    EXPECT_EQ(take_lines(buffer, 512).size(), 2000U);
    EXPECT_FALSE(buffer.empty());
    EXPECT_LT(buffer.memory_octets(), 32U);
    buffer.append("IT\r\n");
    EXPECT_EQ(buffer.next_line(512)->text, "QUIT");
}

TEST(LineBuffer, raw_octets_behind_a_line) {
    LineBuffer buffer;
    buffer.append("BDAT 5\r\nab\r\ncRSET\r\n");
    EXPECT_EQ(buffer.next_line(512)->text, "BDAT 5");
    EXPECT_EQ(buffer.raw(), "ab\r\ncRSET\r\n");
    buffer.consume(2);
    EXPECT_EQ(buffer.raw(), "\r\ncRSET\r\n");
    buffer.consume(3);
    EXPECT_EQ(buffer.next_line(512)->text, "RSET");
    EXPECT_TRUE(buffer.empty());
    EXPECT_EQ(buffer.raw(), "");

    const std::string block(65536, 'x');
    buffer.append(block);
    buffer.consume(block.size());
    EXPECT_TRUE(buffer.empty());
    EXPECT_LT(buffer.memory_octets(), 32U);
}

TEST(LineBuffer, raw_octets_taken_after_a_half_line_was_looked_at) {
    LineBuffer buffer;
    buffer.append("half");
    EXPECT_FALSE(buffer.next_line(512));
    buffer.consume(2);
    buffer.append("\r\n");
    EXPECT_EQ(buffer.next_line(512)->text, "lf");
}

TEST(LineBuffer, wipe_takes_the_last_line_and_only_it) {
    LineBuffer buffer;
    buffer.append("PASS secret\r\nSTAT\r\n");
    const auto line = buffer.next_line(512);
    const char* text = line->text.data();
    ASSERT_EQ(line->text, "PASS secret");
    buffer.wipe_last_line();
    EXPECT_EQ(std::string_view(text, 13), std::string_view("\0\0\0\0\0\0\0\0\0\0\0\0\0", 13));
    EXPECT_EQ(buffer.next_line(512)->text, "STAT");
}

TEST(LineBuffer, clear_forgets_octets_and_half_discarded_lines) {
    LineBuffer buffer;
    buffer.append("USER a\r\nhalf");
    buffer.clear();
    EXPECT_TRUE(buffer.empty());
    buffer.append(std::string(100, 'x'));
    EXPECT_TRUE(buffer.next_line(10)->too_long);
    buffer.clear();
    EXPECT_TRUE(buffer.empty());
    buffer.append("NOOP\r\n");
    EXPECT_EQ(take_lines(buffer, 10), Lines{"NOOP"});
}

TEST(LineBuffer, nul_and_8_bit_octets_are_data) {
    LineBuffer buffer;
    const std::string line("U\0\xff\x80\r\n", 6);
    buffer.append(line);
    EXPECT_EQ(buffer.next_line(512)->text, std::string("U\0\xff\x80", 4));
}

}  // namespace

}  // namespace pier::wire
