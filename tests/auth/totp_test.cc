#include "auth/totp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "auth/directory.h"
#include "auth/memory_store.h"
#include "auth/record.h"

namespace pier::auth {
namespace {

using testing::HasSubstr;

const std::string secret = "12345678901234567890";  // of RFC 6238 appendix B

Time at(std::int64_t seconds) {
    return Time(std::chrono::seconds(seconds));
}

// RFC 4226 appendix D.
TEST(Totp, CountsAsHotpDoes) {
    const std::vector<std::string> codes{"755224", "287082", "359152", "969429", "338314",
                                         "254676", "287922", "162583", "399871", "520489"};
    for (std::size_t i = 0; i < codes.size(); ++i)
        EXPECT_EQ(totp_code(secret, i), codes[i]) << i;
}

// RFC 6238 appendix B has eight digits; the last six are ours.
TEST(Totp, FollowsTheTime) {
    const std::vector<std::pair<std::int64_t, std::string>> codes{
        {59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
        {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}};
    for (const auto& [seconds, code] : codes)
        EXPECT_EQ(totp_code(secret, totp_step(at(seconds))), code) << seconds;
    EXPECT_EQ(totp_step(at(29)), 0u);
    EXPECT_EQ(totp_step(at(30)), 1u);
    EXPECT_EQ(totp_step(at(-1)), 0u);
}

TEST(Totp, TakesTheStepAndItsNeighboursOnce) {
    const std::uint64_t step = totp_step(at(1111111111));
    for (const std::uint64_t one : {step - 1, step, step + 1})
        EXPECT_EQ(totp_accepts(secret, totp_code(secret, one), at(1111111111), 0), one);
    for (const std::uint64_t one : {step - 2, step + 2})
        EXPECT_FALSE(totp_accepts(secret, totp_code(secret, one), at(1111111111), 0));
    EXPECT_FALSE(totp_accepts(secret, totp_code(secret, step), at(1111111111), step));
    EXPECT_TRUE(totp_accepts(secret, totp_code(secret, step), at(1111111111), step - 1));
    EXPECT_TRUE(totp_accepts(secret, "050 471", at(1111111111), 0));
    for (const auto wrong : {"", "05047", "0504711", "05047x", "050472"})
        EXPECT_FALSE(totp_accepts(secret, wrong, at(1111111111), 0)) << wrong;
}

TEST(Totp, IsWrittenForApps) {
    EXPECT_EQ(totp_secret_text(secret), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    // RFC 4648 §10
    EXPECT_EQ(totp_secret_text("f"), "MY");
    EXPECT_EQ(totp_secret_text("fooba"), "MZXW6YTB");
    EXPECT_EQ(totp_secret_text("foobar"), "MZXW6YTBOI");
    EXPECT_EQ(totp_uri("ada@example.org", "foobar"),
              "otpauth://totp/Pier:ada%40example.org?secret=MZXW6YTBOI&issuer=Pier");
}

TEST(SecondFactor, IsInForceOnceConfirmed) {
    test::MemoryStore store;
    Directory directory(store);
    ASSERT_TRUE(directory.load());
    ASSERT_TRUE(directory.add({.name = "ada", .password_scheme = "{PLAIN}pencil"}));
    const Time now = at(1111111111);
    const std::string code = totp_code(secret, totp_step(now));

    EXPECT_EQ(directory.confirm_second_factor("ada", code, now).error().kind, ErrorKind::not_found);
    ASSERT_TRUE(directory.begin_second_factor("ada", "something else"));
    ASSERT_TRUE(directory.begin_second_factor("ada", secret)) << "that was never confirmed";
    EXPECT_FALSE(directory.find("ada")->has_second_factor());
    EXPECT_EQ(directory.confirm_second_factor("ada", "123456", now).error().kind, ErrorKind::invalid);
    ASSERT_TRUE(directory.confirm_second_factor("ada", code, now));
    EXPECT_TRUE(directory.find("ada")->has_second_factor());
    EXPECT_EQ(directory.confirm_second_factor("ada", code, now).error().kind, ErrorKind::invalid)
        << "no code is taken twice";
    EXPECT_THAT(directory.begin_second_factor("ada", secret).error().text, HasSubstr("first remove it"));

    Directory again(store);
    ASSERT_TRUE(again.load());
    EXPECT_TRUE(again.find("ada")->has_second_factor());
    EXPECT_EQ(again.find("ada")->second_factor->secret, secret);
    EXPECT_EQ(again.find("ada")->second_factor->used_step, totp_step(now));

    ASSERT_TRUE(directory.remove_second_factor("ada"));
    EXPECT_FALSE(directory.find("ada")->has_second_factor());
    EXPECT_EQ(directory.remove_second_factor("ada").error().kind, ErrorKind::not_found);
}

TEST(SecondFactor, DamagedRecordsAreRefused) {
    for (const auto bad : {R"({"v":1,"second_factor":1})", R"({"v":1,"second_factor":{}})",
                           R"({"v":1,"second_factor":{"secret":"!"}})", R"({"v":1,"protocols":"pop3"})"})
        EXPECT_FALSE(read_account(bad)) << bad;
}

TEST(AccountProtocols, AreAllSomeOrNone) {
    EXPECT_TRUE(admits(std::nullopt, "pop3"));
    EXPECT_TRUE(admits(Protocols({"pop3"}), "pop3"));
    EXPECT_FALSE(admits(Protocols({"pop3"}), "imap"));
    EXPECT_FALSE(admits(Protocols(std::in_place), "pop3"));
    Account account;
    for (const Protocols& protocols : {Protocols(), Protocols({"pop3"}), Protocols(std::in_place)}) {
        account.protocols = protocols;
        const auto read = read_account(write_account(account, Presence::living));
        ASSERT_TRUE(read);
        EXPECT_EQ(read->account.protocols, protocols);
    }
}

}  // namespace
}  // namespace pier::auth
