#include "wire/crlf.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wire/splits.h"

namespace pier::wire {

namespace {

TEST(CrlfNormalizer, line_ends_wherever_the_octets_are_cut) {
    const std::pair<std::string_view, std::string_view> cases[] = {
        {"", ""},
        {"a", "a\r\n"},
        {"a\n", "a\r\n"},
        {"a\r\n", "a\r\n"},
        {"a\r", "a\r\r\n"},  // a lone CR stays one
        {"\n", "\r\n"},
        {"\r\n", "\r\n"},
        {"\n\n", "\r\n\r\n"},
        {"\r\r\n\n\r", "\r\r\n\r\n\r\r\n"},
        {"a\nb\r\nc\rd\n\ne", "a\r\nb\r\nc\rd\r\n\r\ne\r\n"},
        {"\r\n.\r\n.\n", "\r\n.\r\n.\r\n"},
    };
    for (const auto& [text, expected] : cases) {
        for_every_split(text, [&](const std::vector<std::string_view>& blocks) {
            CrlfNormalizer normalizer;
            std::string out;
            for (const auto block : blocks)
                normalizer.feed(block, out);
            normalizer.finish(out);
            EXPECT_EQ(out, expected) << testing::PrintToString(text);

            CrlfNormalizer again;  // what is normal stays as it is
            std::string twice;
            again.feed(out, twice);
            again.finish(twice);
            EXPECT_EQ(twice, out);
        });
    }
}

}  // namespace

}  // namespace pier::wire
