// Logins by token as a client and the guard meet them. No delays here: nothing waits.
#include <atomic>

#include <gtest/gtest.h>

#include "serve/served.h"
#include "wire/base64.h"

namespace pier::test {
namespace {

constexpr const char* attacker = "127.0.0.2";
constexpr const char* home = "127.0.0.3";

// "of:ada" is ada's; while it is down nobody is told anything.
class PlayedIssuer : public auth::TokenIssuer {
  public:
    std::atomic<bool> down = false;
    void fetch_keys(Done done) override { done(Error{ErrorKind::busy, "there are none"}); }
    void introspect(std::string_view token, Done done) override {
        if (down) return done(Error{ErrorKind::busy, "it is down"});
        if (token.substr(0, 3) != "of.") return done(std::string(R"({"active":false})"));
        done(R"({"active":true,"username":")" + std::string(token.substr(3)) + "\"}");
    }
};

class TokenLogin : public testing::Test {
  protected:
    TokenLogin() {
        ServedOptions options;
        options.guard.delay_max = std::chrono::seconds(0);
        options.guard.pair_failures_max = 4;
        options.pop3.limits.failed_logins_max = 100;
        options.issuer = &issuer_;
        served_ = std::make_unique<Served>(std::move(options));
    }

    // The last answer.
    std::string log_in(const char* from, const std::string& authzid, const std::string& token) {
        Client client(served_->pop3_port, from);
        if (client.line().empty()) return {};
        const std::string message =
            "n," + (authzid.empty() ? "" : "a=" + authzid) + ",\1auth=Bearer " + token + "\1\1";
        std::string answer = client.ask("AUTH OAUTHBEARER " + wire::base64_encode(message));
        if (answer.starts_with("+ ")) answer = client.ask("AQ==");
        if (answer.starts_with("+OK")) client.ask("QUIT");
        return answer;
    }
    std::string by_password(const char* from, const std::string& password) {
        Client client(served_->pop3_port, from);
        if (client.line().empty()) return {};
        client.ask("USER ada");
        return client.ask("PASS " + password);
    }

    PlayedIssuer issuer_;
    std::unique_ptr<Served> served_;
};

constexpr std::string_view wrong = "-ERR [AUTH] Authentication failed";
constexpr std::string_view held = "-ERR [SYS/TEMP] Too many failed logins; try again later";

TEST_F(TokenLogin, OpensTheAccountThatItNames) {
    EXPECT_EQ(log_in(home, "ada", "of.ada").substr(0, 3), "+OK");
    EXPECT_EQ(log_in(home, "ADA", "of.Ada").substr(0, 3), "+OK");
    EXPECT_EQ(log_in(home, "", "of.ada").substr(0, 3), "+OK");
    EXPECT_EQ(log_in(home, "bo", "of.ada"), wrong);
    EXPECT_EQ(log_in(home, "ada", "of.bo"), wrong);
    EXPECT_EQ(log_in(home, "ada", "stolen"), wrong);
    EXPECT_EQ(served_->pop3().logins, 3u);
    EXPECT_EQ(served_->pop3().failed_logins, 3u);
}

TEST_F(TokenLogin, AMasterOpensNobodyElses) {
    ASSERT_TRUE(served_->directory().add({.name = "root", .password = "r"}));
    auth::AccountChange change;
    change.master = true;
    ASSERT_TRUE(served_->directory().change("root", change));
    EXPECT_EQ(log_in(home, "ada", "of.root"), wrong);
    EXPECT_EQ(log_in(home, "ada*root", "of.root"), wrong);
    EXPECT_EQ(log_in(home, "root", "of.root").substr(0, 3), "+OK");
}

TEST_F(TokenLogin, WhoIsDisabledIsToldSo) {
    auth::AccountChange change;
    change.disabled = true;
    ASSERT_TRUE(served_->directory().change("ada", change));
    EXPECT_EQ(log_in(home, "", "of.ada"), "-ERR [SYS/PERM] This account is disabled");
    EXPECT_EQ(log_in(home, "ada", "stolen"), wrong);
}

TEST_F(TokenLogin, GuessingIsRefusedWithoutALookAtTheToken) {
    for (int i = 0; i < 4; ++i)
        EXPECT_EQ(log_in(attacker, "ada", "guess" + std::to_string(i)), wrong) << i;
    EXPECT_EQ(log_in(attacker, "ada", "of.ada"), held);
    EXPECT_EQ(by_password(attacker, "secret"), held);
    EXPECT_EQ(log_in(home, "ada", "of.ada").substr(0, 3), "+OK");
}

TEST_F(TokenLogin, ATokenThatHasExpiredCountsOnceHoweverOftenItComes) {
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(log_in(home, "ada", "expired"), wrong) << i;
    EXPECT_EQ(log_in(home, "ada", "of.ada").substr(0, 3), "+OK");
}

TEST_F(TokenLogin, WhoNamesNobodyIsCountedByHisAddress) {
    for (int i = 0; i < 4; ++i)
        EXPECT_EQ(log_in(attacker, "", "guess" + std::to_string(i)), wrong) << i;
    EXPECT_EQ(log_in(attacker, "", "of.ada"), held);
    EXPECT_EQ(log_in(home, "", "of.ada").substr(0, 3), "+OK");
    EXPECT_EQ(log_in(attacker, "ada", "of.ada").substr(0, 3), "+OK") << "nothing is held against ada there";
}

TEST_F(TokenLogin, AnOutageIsNotCounted) {
    issuer_.down = true;
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(log_in(home, "ada", "t" + std::to_string(i)),
                  "-ERR [SYS/TEMP] The issuer of the token cannot be asked now; try again later");
    issuer_.down = false;
    EXPECT_EQ(log_in(home, "ada", "of.ada").substr(0, 3), "+OK");
}

}  // namespace
}  // namespace pier::test
