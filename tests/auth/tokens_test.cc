// Tokens with an issuer whose every answer the test gives.
#include "auth/tokens.h"

#include <deque>

#include <gtest/gtest.h>

#include "auth/token_signer.h"

namespace pier::auth {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

class PlayedIssuer : public TokenIssuer {
  public:
    void fetch_keys(Done done) override {
        asked.emplace_back("keys");
        waiting.push_back(std::move(done));
    }
    void introspect(std::string_view token, Done done) override {
        asked.emplace_back(token);
        waiting.push_back(std::move(done));
    }
    // To the one that has waited longest.
    void answers(const Result<std::string>& text) {
        ASSERT_FALSE(waiting.empty()) << "nothing was asked";
        const Done done = std::move(waiting.front());
        waiting.pop_front();
        done(text);
    }
    std::vector<std::string> asked;
    std::deque<Done> waiting;
};

std::string word(const TokenVerdict& verdict) {
    if (const auto* identity = std::get_if<TokenIdentity>(&verdict)) return identity->user;
    return std::holds_alternative<TokenWrong>(verdict) ? "wrong" : "outage";
}

class TokensTest : public testing::Test {
  protected:
    void make(TokenSettings::By by) {
        settings_.by = by;
        settings_.rules.issuer = "i";
        settings_.rules.audiences = {"a"};
        settings_.rules.claim = "user";
        tokens_ = std::make_unique<Tokens>(settings_, issuer_, [this] { return now_; });
    }

    std::string token(const TokenSigner& signer, const std::string& user) const {
        return signer.sign(R"({"iss":"i","aud":"a","exp":1800000000,"user":")" + user + "\"}");
    }

    // Its verdict; "" while it waits.
    std::shared_ptr<std::string> check(const std::string& token) {
        auto said = std::make_shared<std::string>();
        tokens_->check(token, [said](const TokenVerdict& verdict) {
            EXPECT_EQ(*said, "") << "said twice";
            *said = word(verdict);
        });
        return said;
    }

    const Error down_{ErrorKind::busy, "it is down"};
    Time now_{seconds(1'700'000'000)};
    TokenSettings settings_;
    PlayedIssuer issuer_;
    std::unique_ptr<Tokens> tokens_;
    const TokenSigner old_{"ES256", "old"}, new_{"ES256", "new"};
};

TEST_F(TokensTest, KeysAreFetchedOnceForAllThatWait) {
    make(TokenSettings::By::keys);
    const auto ada = check(token(old_, "ada")), bo = check(token(old_, "bo"));
    EXPECT_EQ(tokens_->counts().waiting, 2u);
    EXPECT_EQ(*ada, "");
    issuer_.answers(key_set(old_.jwk()));
    EXPECT_EQ(*ada, "ada");
    EXPECT_EQ(*bo, "bo");
    EXPECT_EQ(*check(token(old_, "cy")), "cy");
    EXPECT_EQ(issuer_.asked.size(), 1u);
}

TEST_F(TokensTest, AnUnknownKeyIsLookedForButNotTooOften) {
    make(TokenSettings::By::keys);
    const auto first = check(token(old_, "ada"));
    issuer_.answers(key_set(old_.jwk()));
    EXPECT_EQ(*check(token(new_, "ada")), "wrong");  // the keys are fresh
    now_ += seconds(29);
    EXPECT_EQ(*check(token(new_, "ada")), "wrong");
    EXPECT_EQ(issuer_.asked.size(), 1u);
    now_ += seconds(1);
    const auto later = check(token(new_, "ada"));
    EXPECT_EQ(*later, "");
    EXPECT_EQ(*check(token(old_, "bo")), "bo");  // does not wait for it
    issuer_.answers(key_set(old_.jwk() + "," + new_.jwk()));
    EXPECT_EQ(*later, "ada");
    now_ += seconds(30);
    const auto forged = check(token(TokenSigner("ES256", "third"), "ada"));
    issuer_.answers(key_set(old_.jwk() + "," + new_.jwk()));
    EXPECT_EQ(*forged, "wrong");
}

TEST_F(TokensTest, AnOutageIsNeverWrong) {
    make(TokenSettings::By::keys);
    const auto first = check(token(old_, "ada"));
    issuer_.answers(down_);
    EXPECT_EQ(*first, "outage");
    EXPECT_EQ(*check(token(old_, "ada")), "outage");  // it is not asked again at once
    EXPECT_EQ(issuer_.asked.size(), 1u);
    now_ += seconds(5);
    const auto again = check(token(old_, "ada"));
    issuer_.answers(std::string("no key set"));
    EXPECT_EQ(*again, "outage");
    now_ += seconds(5);
    const auto unusable = check(token(old_, "ada"));
    issuer_.answers(key_set(""));
    EXPECT_EQ(*unusable, "outage");
    now_ += seconds(5);
    const auto good = check(token(old_, "ada"));
    issuer_.answers(key_set(old_.jwk()));
    EXPECT_EQ(*good, "ada");
    now_ += seconds(30);
    const auto unknown = check(token(new_, "ada"));
    issuer_.answers(down_);
    EXPECT_EQ(*unknown, "outage");
    EXPECT_EQ(*check(token(new_, "ada")), "outage");
    EXPECT_EQ(*check(token(old_, "ada")), "ada");
    EXPECT_EQ(tokens_->counts().outages, 4u);
}

TEST_F(TokensTest, OldKeysAreUsedForADayWhileTheIssuerIsAway) {
    make(TokenSettings::By::keys);
    const auto first = check(token(old_, "ada"));
    issuer_.answers(key_set(old_.jwk()));
    now_ += settings_.cache_time - seconds(1);
    EXPECT_EQ(*check(token(old_, "ada")), "ada");
    EXPECT_TRUE(issuer_.waiting.empty());
    now_ += seconds(1);
    EXPECT_EQ(*check(token(old_, "ada")), "ada");
    issuer_.answers(down_);
    now_ += hours(24) - settings_.cache_time - seconds(1);
    EXPECT_EQ(*check(token(old_, "ada")), "ada");
    issuer_.answers(down_);
    now_ += seconds(5);
    const auto late = check(token(old_, "ada"));
    EXPECT_EQ(*late, "");
    issuer_.answers(down_);
    EXPECT_EQ(*late, "outage");
}

TEST_F(TokensTest, AKeyThatTheIssuerHasTakenBackIsGone) {
    make(TokenSettings::By::keys);
    const auto first = check(token(old_, "ada"));
    issuer_.answers(key_set(old_.jwk()));
    now_ += settings_.cache_time;
    EXPECT_EQ(*check(token(old_, "ada")), "ada");
    issuer_.answers(key_set(new_.jwk()));
    EXPECT_EQ(*check(token(old_, "ada")), "wrong");
    EXPECT_EQ(*check(token(new_, "ada")), "ada");
}

TEST_F(TokensTest, OnlySoManyWait) {
    settings_.waiting_max = 2;
    make(TokenSettings::By::keys);
    const auto one = check(token(old_, "ada")), two = check(token(old_, "ada"));
    EXPECT_EQ(*check(token(old_, "ada")), "outage");
    issuer_.answers(key_set(old_.jwk()));
    EXPECT_EQ(*one + *two, "adaada");
    make(TokenSettings::By::introspection);
    const auto three = check("t3"), four = check("t4");
    EXPECT_EQ(*check("t5"), "outage");
    issuer_.answers(std::string(R"({"active":true,"user":"ada"})"));
    EXPECT_EQ(*three, "ada");
    const auto five = check("t5");
    issuer_.answers(std::string(R"({"active":false})"));
    issuer_.answers(std::string(R"({"active":false})"));
    EXPECT_EQ(*four + *five, "wrongwrong");
}

TEST_F(TokensTest, AnswersAreKeptUntilTheTokenEnds) {
    settings_.rules.leeway = seconds(0);
    make(TokenSettings::By::introspection);
    const auto first = check("t");
    issuer_.answers(std::string(R"({"active":true,"user":"ada","exp":1700000100})"));
    EXPECT_EQ(*first, "ada");
    now_ += seconds(99);
    EXPECT_EQ(*check("t"), "ada");
    EXPECT_EQ(issuer_.asked, std::vector<std::string>{"t"});
    now_ += seconds(1);
    const auto ended = check("t");
    EXPECT_EQ(*ended, "");
    issuer_.answers(std::string(R"({"active":false})"));
    EXPECT_EQ(*ended, "wrong");
    now_ += seconds(59);
    EXPECT_EQ(*check("t"), "wrong");
    now_ += seconds(1);
    const auto again = check("t");
    EXPECT_EQ(*again, "");
    issuer_.answers(down_);
    EXPECT_EQ(*again, "outage");
    const auto unreadable = check("t");
    EXPECT_EQ(*unreadable, "");  // an outage is not kept
    issuer_.answers(std::string("<html>"));
    EXPECT_EQ(*unreadable, "outage");
}

TEST_F(TokensTest, AnswersAreKeptForTheirTimeAndNoMoreThanSoMany) {
    settings_.cached_max = 2;
    make(TokenSettings::By::introspection);
    for (const char* name : {"a", "b", "c"}) {
        const auto said = check(name);
        issuer_.answers(std::string(R"({"active":true,"user":")" + std::string(name) + "\"}"));
        EXPECT_EQ(*said, name);
    }
    EXPECT_EQ(tokens_->counts().kept, 2u);
    EXPECT_EQ(*check("c"), "c");
    EXPECT_EQ(*check("b"), "b");
    const auto oldest = check("a");
    EXPECT_EQ(*oldest, "");
    issuer_.answers(down_);
    now_ += settings_.cache_time;
    const auto late = check("c");
    EXPECT_EQ(*late, "");
    issuer_.answers(down_);
}

TEST_F(TokensTest, LimitsTokens) {
    make(TokenSettings::By::introspection);
    EXPECT_EQ(*check(""), "wrong");
    EXPECT_EQ(*check(std::string(token_octets_max + 1, 't')), "wrong");
    const auto longest = check(std::string(token_octets_max, 't'));
    EXPECT_EQ(*longest, "");
    issuer_.answers(down_);
}

}  // namespace
}  // namespace pier::auth
