#include "wire/base64.h"

#include <random>

#include <gtest/gtest.h>

namespace pier::wire {

namespace {

// RFC 4648 §10.
TEST(Base64, vectors) {
    const std::pair<std::string_view, std::string_view> vectors[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (const auto& [octets, text] : vectors) {
        EXPECT_EQ(base64_encode(octets), text);
        EXPECT_EQ(base64_decode(text, 100), octets);
    }
}

TEST(Base64, any_octets_come_back) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    for (std::size_t length = 0; length < 200; ++length) {
        std::string octets;
        for (std::size_t i = 0; i < length; ++i)
            octets.push_back(static_cast<char>(random()));
        EXPECT_EQ(base64_decode(base64_encode(octets), length), octets);
    }
}

TEST(Base64, every_single_octet_that_is_not_in_the_alphabet_is_refused) {
    const std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int c = 0; c < 256; ++c) {
        const std::string text = std::string("AA") + static_cast<char>(c) + "A";
        const bool in_alphabet = alphabet.find(static_cast<char>(c)) != std::string_view::npos;
        EXPECT_EQ(base64_decode(text, 100).has_value(), in_alphabet) << c;
    }
}

TEST(Base64, malformed) {
    for (const std::string_view text :
         {"Z", "Zg", "Zg=", "Zg===", "=", "==", "===", "====", "A===", "Zg==Zg==", "Zm8=Zm8=", "=AAA", "A=AA",
          "AA=A", " Zg==", "Zg==\n", "Zg==\r\n", "Zm 9v", "Z-_v"}) {
        EXPECT_FALSE(base64_decode(text, 100)) << text;
    }
}

// Two texts for the same octets would let a replayed message look new.
TEST(Base64, stray_bits_behind_the_last_octet_are_refused) {
    EXPECT_FALSE(base64_decode("Zh==", 100));
    EXPECT_FALSE(base64_decode("Zm9=", 100));
    EXPECT_TRUE(base64_decode("Zg==", 100));
    EXPECT_TRUE(base64_decode("Zm8=", 100));
}

TEST(Base64, the_limit_counts_decoded_octets) {
    EXPECT_TRUE(base64_decode("Zm9vYg==", 5));
    EXPECT_TRUE(base64_decode("Zm9vYg==", 4));
    EXPECT_FALSE(base64_decode("Zm9vYg==", 3));
    EXPECT_TRUE(base64_decode("", 0));
    EXPECT_FALSE(base64_decode("Zg==", 0));
}

}  // namespace

}  // namespace pier::wire
