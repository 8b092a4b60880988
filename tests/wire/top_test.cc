#include "wire/top.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wire/splits.h"

namespace pier::wire {

namespace {

constexpr std::uint64_t all = std::numeric_limits<std::uint64_t>::max();

void expect_top(std::string_view message, std::uint64_t body_lines, std::string_view expected) {
    for_every_split(message, [&](const std::vector<std::string_view>& blocks) {
        TopCutter cutter(body_lines);
        std::string out;
        for (const auto block : blocks)
            out.append(block.substr(0, cutter.feed(block)));
        EXPECT_EQ(out, expected) << testing::PrintToString(message) << " " << body_lines;
        EXPECT_EQ(cutter.feed("x"), cutter.done() ? 0U : 1U);
    });
}

TEST(TopCutter, header_empty_line_and_so_many_body_lines) {
    const std::string_view message = "A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\n";
    expect_top(message, 0, "A: 1\r\nB: 2\r\n\r\n");
    expect_top(message, 1, "A: 1\r\nB: 2\r\n\r\none\r\n");
    expect_top(message, 2, "A: 1\r\nB: 2\r\n\r\none\r\n\r\n");
    expect_top(message, 3, message);
    expect_top(message, 4, message);
    expect_top(message, std::uint64_t{1} << 32, message);
    expect_top(message, all, message);
}

TEST(TopCutter, odd_messages) {
    expect_top("", 0, "");
    expect_top("A: 1\r\n", 0, "A: 1\r\n");  // no empty line: all header
    expect_top("A: 1", 5, "A: 1");
    expect_top("\r\nbody\r\nmore\r\n", 0, "\r\n");  // no header
    expect_top("\r\nbody\r\nmore\r\n", 1, "\r\nbody\r\n");
    expect_top("A: 1\r\n\r\nno line end", 0, "A: 1\r\n\r\n");
    expect_top("A: 1\r\n\r\nno line end", 1, "A: 1\r\n\r\nno line end");
    expect_top("A: 1\r\n\r\r\nx\r\n\r\nb\r\n", 0,
               "A: 1\r\n\r\r\nx\r\n\r\n");  // CR CR LF is not an empty line
    expect_top("A: 1\n\nb\nc\n", 1, "A: 1\n\nb\n");
    expect_top("A: 1\r\n \r\n\r\nb\r\n", 0, "A: 1\r\n \r\n\r\n");
}

}  // namespace

}  // namespace pier::wire
