#include "delivery/srs.h"

#include <gtest/gtest.h>

namespace pier::delivery {
namespace {

constexpr Time noon{std::chrono::sys_days(std::chrono::year(2026) / 11 / 21) + std::chrono::hours(12)};
constexpr auto days = [](int n) { return std::chrono::hours(24 * n); };

const Srs srs{"a secret"};

std::string rewritten(const smtp::Address& sender, const Srs& by = srs, Time now = noon) {
    const auto address = by.rewrite(sender, "us.example", now);
    return address ? address->text() : "too long";
}

std::string restored(const std::string& local, Time now = noon) {
    const auto address = srs.restore(local, now);
    return address ? address->text() : "error: " + address.error().text;
}

std::string local_of(const std::string& address) {
    return address.substr(0, address.rfind('@'));
}

TEST(Srs, a_sender_is_found_again) {
    for (const smtp::Address& sender :
         {smtp::Address{"eve", "example.com"}, smtp::Address{"Eve.B", "example.com"},
          smtp::Address{"bounce=x=y", "example.com"}, smtp::Address{"x+y", "example.com"},
          smtp::Address{"SRS0", "example.com"}, smtp::Address{"SRS2=x", "example.com"},
          smtp::Address{"\xC3\xBC", "example.com"}}) {
        const auto address = srs.rewrite(sender, "us.example", noon);
        ASSERT_TRUE(address);
        EXPECT_EQ(address->domain, "us.example");
        EXPECT_TRUE(address->local.starts_with("SRS0=")) << address->local;
        EXPECT_TRUE(Srs::is_rewritten(address->local));
        EXPECT_EQ(restored(address->local), sender.text());
    }
    const std::string text = rewritten({"eve", "example.com"});
    EXPECT_EQ(text.substr(0, 5), "SRS0=");
    EXPECT_EQ(text.substr(13, 1), "=");
    EXPECT_EQ(text.substr(16), "=example.com=eve@us.example");
}

TEST(Srs, the_null_sender_stays) {
    EXPECT_EQ(rewritten({}), "");
}

TEST(Srs, a_quoted_local_part_is_found_again) {
    const auto address = srs.rewrite({"a b", "example.com"}, "us.example", noon);
    ASSERT_TRUE(address);
    EXPECT_EQ(address->text().front(), '"');
    EXPECT_EQ(restored(address->local), "\"a b\"@example.com");
}

// Who has rewritten it first is told of the bounce, however many have forwarded it since.
TEST(Srs, a_rewritten_sender_is_rewritten_once_more) {
    const std::string once = "SRS0=abcd=XY=example.com=eve";
    const std::string twice = local_of(rewritten({once, "first.example"}));
    EXPECT_TRUE(twice.starts_with("SRS1=")) << twice;
    EXPECT_TRUE(twice.ends_with("=first.example==abcd=XY=example.com=eve")) << twice;
    EXPECT_EQ(restored(twice), once + "@first.example");

    const Srs other{"the secret of somebody else"};
    const std::string thrice = local_of(rewritten({twice, "second.example"}, other));
    EXPECT_EQ(thrice.substr(13), twice.substr(13));
    EXPECT_NE(thrice, twice);
    const auto back = other.restore(thrice, noon);
    ASSERT_TRUE(back) << back.error().text;
    EXPECT_EQ(back->text(), once + "@first.example");

    const std::string plus = local_of(rewritten({"SRS0+abcd=XY=example.com=eve", "first.example"}));
    EXPECT_TRUE(plus.ends_with("=first.example=+abcd=XY=example.com=eve")) << plus;
    EXPECT_EQ(restored(plus), "SRS0+abcd=XY=example.com=eve@first.example");
}

TEST(Srs, letters_change_their_case_on_the_way) {
    std::string local = local_of(rewritten({"eve", "example.com"}));
    for (char& c : local)
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    EXPECT_EQ(restored(local), "EVE@example.com");
}

TEST(Srs, it_is_good_for_three_weeks) {
    const std::string local = local_of(rewritten({"eve", "example.com"}));
    EXPECT_EQ(restored(local, noon + days(20)), "eve@example.com");
    EXPECT_EQ(restored(local, noon + days(21)), "eve@example.com");
    EXPECT_EQ(restored(local, noon + days(22)), "error: it is 22 days old");
    // Days are counted in rounds of 1,024.
    EXPECT_EQ(restored(local, noon + days(1023)), "error: it is 1023 days old");
    const Time before{std::chrono::sys_days(std::chrono::days(1023))};
    const std::string last = local_of(rewritten({"eve", "example.com"}, srs, before));
    EXPECT_EQ(restored(last, before + days(1)), "eve@example.com");
}

// Attack: a server that restores what it has not made relays for everybody.
TEST(Srs, what_was_not_made_here_is_refused) {
    const std::string good = local_of(rewritten({"eve", "example.com"}));
    for (std::size_t i = 5; i < good.size(); ++i) {
        std::string bad = good;
        bad[i] = bad[i] == 'q' ? 'r' : 'q';
        EXPECT_TRUE(restored(bad).starts_with("error: ")) << bad;
    }
    const Srs other{"another secret"};
    EXPECT_TRUE(restored(local_of(rewritten({"eve", "example.com"}, other))).starts_with("error: "));
    for (const char* local : {"SRS0", "SRS0=", "SRS0==", "SRS0===", "SRS0====", "SRS1=", "SRS1===",
                              "SRS0=aaaaaaaa=aa=example.com=eve", "SRS1=aaaaaaaa=example.com==x", "eve", ""})
        EXPECT_TRUE(restored(local).starts_with("error: ")) << local;
}

TEST(Srs, what_is_too_long_is_not_made) {
    // SRS0=12345678=ab= and =
    const std::size_t more = 5 + 9 + 3 + 1 + std::string("example.com").size();
    EXPECT_EQ(rewritten({std::string(255 - more + 1, 'x'), "example.com"}), "too long");
    const auto fits = srs.rewrite({std::string(255 - more, 'x'), "example.com"}, "us.example", noon);
    ASSERT_TRUE(fits);
    EXPECT_EQ(fits->local.size(), 255U);
    EXPECT_TRUE(srs.restore(fits->local, noon));
}

}  // namespace
}  // namespace pier::delivery
