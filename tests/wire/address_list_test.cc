#include "wire/address_list.h"

#include <chrono>

#include <gtest/gtest.h>

namespace pier::wire {
namespace {

std::string read(std::string_view body, std::size_t addresses_max = 100) {
    const auto addresses = parse_address_list(body, addresses_max);
    if (!addresses) return "malformed";
    std::string out;
    for (const HeaderAddress& address : *addresses)
        out += (out.empty() ? "" : " ") + address.local + "@" + address.domain;
    return out;
}

TEST(AddressList, OneAddress) {
    EXPECT_EQ(read("ada@example.org"), "ada@example.org");
    EXPECT_EQ(read(" Ada Lovelace <Ada@Example.ORG> "), "Ada@example.org");
    EXPECT_EQ(read("\"Lovelace, Ada\" <ada@example.org>"), "ada@example.org");
    EXPECT_EQ(read("\"a@b\" <ada@example.org>"), "ada@example.org");
    EXPECT_EQ(read("Ada A. Lovelace <ada@example.org>"), "ada@example.org");
    EXPECT_EQ(read("=?utf-8?q?=C3=84da?= <ada@example.org>"), "ada@example.org");
    EXPECT_EQ(read("<ada@example.org>"), "ada@example.org");
    EXPECT_EQ(read("\"ada x\\\"y\"@example.org"), "ada x\"y@example.org");
    EXPECT_EQ(read("ada@[192.0.2.1]"), "ada@[192.0.2.1]");
    EXPECT_EQ(read("\xC3\xA4"
                   "da@b\xC3\xBC"
                   "cher.example"),
              "\xC3\xA4"
              "da@b\xC3\xBC"
              "cher.example");
}

TEST(AddressList, CommentsAndWhiteSpaceAnywhere) {
    EXPECT_EQ(read("(a (b \\) c) d) Ada (x@y) < ada (z) @ example . org > (e)"), "ada@example.org");
    EXPECT_EQ(read("ada.lovelace(one)@example.org (two)"), "ada.lovelace@example.org");
    EXPECT_EQ(read("ada . lovelace@example.org"), "ada.lovelace@example.org");
}

TEST(AddressList, SeveralAndGroups) {
    EXPECT_EQ(read("a@b.c, D <d@e.f>,, <g@h.i>,"), "a@b.c d@e.f g@h.i");
    EXPECT_EQ(read("Friends: a@b.c, D <d@e.f>; , g@h.i"), "a@b.c d@e.f g@h.i");
    EXPECT_EQ(read("Undisclosed recipients:;"), "");
    EXPECT_EQ(read("A:; , B: c@d.e;"), "c@d.e");
    EXPECT_EQ(read(""), "");
    EXPECT_EQ(read("<@x.example,@y.example:a@b.c>"), "a@b.c");
}

TEST(AddressList, Malformed) {
    for (const char* body : {"ada",
                             "Ada Lovelace",
                             "ada@",
                             "@example.org",
                             "<>",
                             "Ada <>",
                             "<ada@example.org",
                             "ada@example.org>",
                             "a@b.c d@e.f",
                             "a b@c.d",
                             "a@b..c",
                             "a@b.",
                             "(a@b.c",
                             "\"a@b.c",
                             "a@[b",
                             "a\\b@c.d",
                             "A: b@c.d",
                             "b@c.d;",
                             "A: B: c@d.e;;",
                             ": a@b.c;",
                             "<a@b.c> <d@e.f>",
                             "<a@b.c> d",
                             "a@b@c.d",
                             "a@\"b\"",
                             "a]@b.c",
                             "<a b@c.d>",
                             "<@x.example a@b.c>",
                             "\xC3@b.c",
                             "\"a\x01\"@b.c"})
        EXPECT_EQ(read(body), "malformed") << body;
}

TEST(AddressList, HasALimit) {
    EXPECT_EQ(read("a@b.c, d@e.f", 2), "a@b.c d@e.f");
    EXPECT_EQ(read("a@b.c, d@e.f", 3), "a@b.c d@e.f");
    EXPECT_EQ(read("a@b.c, d@e.f", 1), "malformed");
}

// Attack 34: much of everything is read, or not, in a moment.
TEST(AddressList, MuchOfSomething) {
    const auto began = std::chrono::steady_clock::now();
    for (const std::string& piece :
         {std::string("("), std::string("\\\"("), std::string("a@b.c,"), std::string("<"),
          std::string("\"a\""), std::string("A:;,"), std::string("@a,"), std::string(".")}) {
        std::string text;
        while (text.size() < 1'000'000)
            text += piece;
        parse_address_list(text, 10'000);
    }
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(20));
}

}  // namespace
}  // namespace pier::wire
