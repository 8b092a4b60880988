#include "wire/header.h"

#include <random>

#include <gtest/gtest.h>

namespace pier::wire {
namespace {

using Problem = HeaderReader::Problem;

HeaderReader read(std::string_view message, std::size_t piece = SIZE_MAX, HeaderLimits limits = {}) {
    HeaderReader reader(limits, {"From", "Sender", "Date"});
    for (; !message.empty(); message.remove_prefix(std::min(piece, message.size())))
        reader.feed(message.substr(0, piece));
    reader.finish();
    return reader;
}

TEST(HeaderReader, KeepsTheWantedFieldsUnfolded) {
    const std::string_view message =
        "Received: x\r\n y\r\nFROM: Ada\r\n\t<ada@example.org>  \r\nTo: z\r\ndate :\r\n today\r\nFrom:\r\n"
        "\r\nSender: not this\r\n";
    for (const std::size_t piece : {SIZE_MAX, std::size_t{1}, std::size_t{2}, std::size_t{7}}) {
        const HeaderReader reader = read(message, piece);
        EXPECT_EQ(reader.problem(), Problem::none);
        EXPECT_TRUE(reader.over());
        EXPECT_FALSE(reader.has_8bit());
        EXPECT_EQ(reader.fields(), (std::vector<HeaderField>{
                                       {"From", "Ada\t<ada@example.org>"}, {"Date", "today"}, {"From", ""}}));
        EXPECT_EQ(reader.count("From"), 2u);
        EXPECT_EQ(reader.count("Sender"), 0u);
        EXPECT_EQ(reader.find("Sender"), nullptr);
        EXPECT_EQ(reader.find("Date")->body, "today");
    }
}

TEST(HeaderReader, IsWholeWithoutABody) {
    EXPECT_EQ(read("From: a@b\r\n").fields().size(), 1u);
    EXPECT_EQ(read("From: a@b").fields().size(), 1u);
    EXPECT_EQ(read("").problem(), Problem::none);
    EXPECT_EQ(read("\r\nFrom: a@b\r\n").fields().size(), 0u);
}

TEST(HeaderReader, TellsWhatIsNoField) {
    for (const char* message : {"Hi\r\n", "From ada@example.org today\r\n", " x: y\r\n", ": x\r\n",
                                "a b: c\r\n", "\xC3\xA4: x\r\n", "From: a@b\r\nno field\r\n\r\n", "From"}) {
        for (const std::size_t piece : {SIZE_MAX, std::size_t{1}})
            EXPECT_EQ(read(message, piece).problem(), Problem::no_field) << message;
    }
}

TEST(HeaderReader, ALoneCarriageReturnIsPartOfItsLine) {
    for (const std::size_t piece : {SIZE_MAX, std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
        EXPECT_EQ(read("From: a\rb\r\r\n\r\n", piece).find("From")->body, "a\rb\r");
        EXPECT_EQ(read("\rFrom: a\r\n\r\n", piece).problem(), Problem::no_field);
    }
}

TEST(HeaderReader, SeesWhatIsNotAscii) {
    EXPECT_TRUE(read("Subject: \xC3\xA4\r\n\r\n").has_8bit());
    EXPECT_FALSE(read("Subject: a\r\n\r\n\xC3\xA4\r\n").has_8bit());
}

TEST(HeaderReader, HoldsItsLimits) {
    const HeaderLimits limits{.header_octets_max = 20, .fields_max = 2, .kept_octets_max = 10};
    EXPECT_EQ(read("To: 345678901234567\r\n", SIZE_MAX, limits).problem(), Problem::too_large);
    EXPECT_EQ(read("To: 34567890123456\r\n", SIZE_MAX, limits).problem(), Problem::none);
    EXPECT_EQ(read("To: 3456789012345\r\n", SIZE_MAX, limits).problem(), Problem::none);
    EXPECT_EQ(read("a:\r\nb:\r\n", SIZE_MAX, limits).problem(), Problem::none);
    EXPECT_EQ(read("a:\r\nb:\r\nc:\r\n", SIZE_MAX, limits).problem(), Problem::too_many_fields);
    EXPECT_EQ(read("From:123456\r\n", SIZE_MAX, limits).problem(), Problem::none);
    EXPECT_EQ(read("From:1234567\r\n", SIZE_MAX, limits).problem(), Problem::kept_too_large);
    EXPECT_TRUE(read("From:1234567\r\n", SIZE_MAX, limits).fields().empty());
}

// Attack 34.
TEST(HeaderReader, AHeaderWithoutEndCostsNothing) {
    HeaderReader reader({}, {"From"});
    const std::string block(1 << 20, 'x');
    for (int i = 0; i < 100; ++i)
        reader.feed(block);
    EXPECT_EQ(reader.problem(), Problem::too_large);
    HeaderReader many({}, {"From"});
    for (int i = 0; i < 10'000; ++i)
        many.feed("X-A: b\r\n");
    EXPECT_EQ(many.problem(), Problem::too_many_fields);
}

}  // namespace
}  // namespace pier::wire
