#include "auth/totp.h"

#include <gtest/gtest.h>

namespace pier::auth {
namespace {

constexpr std::string_view secret = "12345678901234567890";

Time at(std::int64_t seconds) {
    return Time(std::chrono::seconds(seconds));
}

// RFC 6238 appendix B, the last six of the eight digits there.
TEST(Totp, TheVectorsOfTheRfc) {
    EXPECT_EQ(totp_code(secret, at(59)), "287082");
    EXPECT_EQ(totp_code(secret, at(1111111109)), "081804");
    EXPECT_EQ(totp_code(secret, at(1111111111)), "050471");
    EXPECT_EQ(totp_code(secret, at(1234567890)), "005924");
    EXPECT_EQ(totp_code(secret, at(2000000000)), "279037");
    EXPECT_EQ(totp_code(secret, at(20000000000)), "353130");
}

TEST(Totp, ClocksMayDifferByAStep) {
    const Time now = at(1111111109);
    EXPECT_TRUE(totp_matches(secret, "081804", now));
    EXPECT_TRUE(totp_matches(secret, "081 804", now));
    EXPECT_TRUE(totp_matches(secret, "081804", now + std::chrono::seconds(30)));
    EXPECT_TRUE(totp_matches(secret, "081804", now - std::chrono::seconds(30)));
    EXPECT_FALSE(totp_matches(secret, "081804", now + std::chrono::seconds(90)));
    for (const char* wrong : {"", "081805", "81804", "0818040", "x81804"})
        EXPECT_FALSE(totp_matches(secret, wrong, now)) << wrong;
}

// RFC 4648 §10, without the padding.
TEST(Totp, SecretsAreBase32) {
    EXPECT_EQ(totp_secret_text(""), "");
    EXPECT_EQ(totp_secret_text("f"), "MY");
    EXPECT_EQ(totp_secret_text("fo"), "MZXQ");
    EXPECT_EQ(totp_secret_text("foo"), "MZXW6");
    EXPECT_EQ(totp_secret_text("foob"), "MZXW6YQ");
    EXPECT_EQ(totp_secret_text("fooba"), "MZXW6YTB");
    EXPECT_EQ(totp_secret_text("foobar"), "MZXW6YTBOI");
    EXPECT_EQ(totp_uri("ada@example.org", "foobar"),
              "otpauth://totp/Pier:ada%40example.org?secret=MZXW6YTBOI&issuer=Pier");
}

}  // namespace
}  // namespace pier::auth
