// The order of back ends, and what is remembered: with back ends that say what the test wants.
#include "backends/chain.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pier::backends {
namespace {

using auth::BackendAnswer;
using auth::BackendDenied;
using auth::BackendOutage;
using auth::BackendQuestion;
using auth::BackendUnknown;
using auth::BackendUser;
using auth::BackendWrong;
using testing::ElementsAre;
using testing::IsEmpty;

class Played : public BackEnd {
  public:
    explicit Played(std::string name) { settings_.name = std::move(name); }

    const Settings& settings() const override { return settings_; }
    void check(const Login& login, Done done) override {
        asked.push_back(login.name);
        const auto user = users.find(login.name);
        if (out) return done(Outage{"out"});
        if (user == users.end()) return done(UnknownUser{});
        if (user->second != login.password) return done(WrongPassword{});
        if (held) {
            waiting = std::move(done);
            return;
        }
        done(Found{said});
    }
    void find(const std::string& name, Done done) override {
        asked.push_back(name);
        if (out) return done(Outage{"out"});
        done(users.contains(name) ? Answer(Found{said}) : Answer(UnknownUser{}));
    }
    Channel::State state() const override { return {.worker = "ready"}; }
    void stop() override {}

    Settings settings_;
    std::map<std::string, std::string> users;
    User said{};
    bool out = false, held = false;
    std::vector<std::string> asked;
    Done waiting;
};

struct ChainTest : testing::Test {
    ChainTest() {
        auto a = std::make_unique<Played>("first"), b = std::make_unique<Played>("second");
        first = a.get();
        second = b.get();
        std::vector<std::unique_ptr<BackEnd>> all;
        all.push_back(std::move(a));
        all.push_back(std::move(b));
        chain = std::make_unique<Chain>(std::move(all), 10, [this] { return now; });
    }
    BackendAnswer check(std::vector<std::string> names, const std::string& password,
                        const std::string& backend = {}) {
        // It may come after this has returned.
        const auto out = std::make_shared<BackendAnswer>();
        chain->check({.names = std::move(names), .backend = backend, .password = password},
                     [out](BackendAnswer answer) { *out = std::move(answer); });
        return *out;
    }
    BackendAnswer find(std::vector<std::string> names, const std::string& backend = {}) {
        const auto out = std::make_shared<BackendAnswer>();
        chain->find({.names = std::move(names), .backend = backend},
                    [out](BackendAnswer answer) { *out = std::move(answer); });
        return *out;
    }
    bool remembers(const std::string& backend, const std::string& name, const std::string& password) {
        auth::Account account;
        account.name = name;
        account.backend = backend;
        return chain->remembers(account, password);
    }

    Time now = Time(std::chrono::hours(1000));
    Played *first, *second;
    std::unique_ptr<Chain> chain;
};

TEST_F(ChainTest, AnUnknownUserIsAskedOfTheNextBackEnd) {
    second->users["ada"] = "pencil";
    const auto answer = check({"ada"}, "pencil");
    EXPECT_EQ(std::get<BackendUser>(answer).backend, "second");
    EXPECT_EQ(std::get<BackendUser>(answer).name, "ada");
    EXPECT_THAT(first->asked, ElementsAre("ada"));
}

TEST_F(ChainTest, AWrongPasswordIsTriedNowhereElse) {
    first->users["ada"] = "pencil";
    second->users["ada"] = "quill";
    EXPECT_TRUE(std::holds_alternative<BackendWrong>(check({"ada"}, "quill")));
    EXPECT_THAT(second->asked, IsEmpty());
}

TEST_F(ChainTest, AnOutageIsNotHiddenBehindTheNextBackEnd) {
    first->out = true;
    second->users["ada"] = "pencil";
    EXPECT_TRUE(std::holds_alternative<BackendOutage>(check({"ada"}, "pencil")));
    EXPECT_TRUE(std::holds_alternative<BackendOutage>(find({"ada"})));
    EXPECT_THAT(second->asked, IsEmpty());
    EXPECT_EQ(chain->states()[0].outages, 2U);
}

TEST_F(ChainTest, EveryNameIsAskedOfOneBackEndBeforeTheNext) {
    EXPECT_TRUE(std::holds_alternative<BackendUnknown>(check({"ada@example.org", "ada"}, "x")));
    EXPECT_THAT(first->asked, ElementsAre("ada@example.org", "ada"));
    EXPECT_THAT(second->asked, ElementsAre("ada@example.org", "ada"));
}

TEST_F(ChainTest, ABackEndIsAskedForTheNamesItKnows) {
    first->settings_.names = Names::address;
    second->settings_.names = Names::local;
    EXPECT_TRUE(std::holds_alternative<BackendUnknown>(check({"ada@example.org", "ada"}, "x")));
    EXPECT_THAT(first->asked, ElementsAre("ada@example.org"));
    EXPECT_THAT(second->asked, ElementsAre("ada"));
}

TEST_F(ChainTest, AnAccountIsCheckedByItsOwnBackEndAlone) {
    first->users["ada"] = "pencil";
    EXPECT_TRUE(std::holds_alternative<BackendUnknown>(check({"ada"}, "pencil", "second")));
    EXPECT_THAT(first->asked, IsEmpty());
    EXPECT_TRUE(std::holds_alternative<BackendOutage>(check({"ada"}, "pencil", "taken out of the file")));
}

TEST_F(ChainTest, WhatTheBackEndSaysComesWithTheUser) {
    first->users["ada@example.org"] = "pencil";
    first->said = {.name = "Ada", .quota_octets = 7, .allow = Networks{*Network::parse("::1")}};
    const auto user = std::get<BackendUser>(check({"ada@example.org"}, "pencil"));
    EXPECT_EQ(user.name, "ada");
    EXPECT_EQ(user.quota_octets, 7U);
    EXPECT_EQ(user.allow->size(), 1U);
}

TEST_F(ChainTest, ARightPasswordIsRememberedForAWhile) {
    first->users["ada"] = "pencil";
    check({"ada"}, "pencil");
    EXPECT_TRUE(remembers("first", "ada", "pencil"));
    EXPECT_FALSE(remembers("first", "ada", "Pencil"));
    EXPECT_FALSE(remembers("second", "ada", "pencil"));
    EXPECT_FALSE(remembers("first", "eve", "pencil"));
    now += first->settings_.cache_time - std::chrono::seconds(1);
    EXPECT_TRUE(remembers("first", "ada", "pencil"));
    now += std::chrono::seconds(1);
    EXPECT_FALSE(remembers("first", "ada", "pencil"));
}

TEST_F(ChainTest, ItIsForgottenOnDemandAndByANewPassword) {
    first->users = {{"ada", "pencil"}, {"bob", "x"}};
    check({"ada"}, "pencil");
    check({"bob"}, "x");
    chain->forget("Ada");
    EXPECT_FALSE(remembers("first", "ada", "pencil"));
    EXPECT_TRUE(remembers("first", "bob", "x"));
    chain->forget("");
    EXPECT_FALSE(remembers("first", "bob", "x"));
    EXPECT_EQ(chain->remembered(), 0U);

    check({"ada"}, "pencil");
    first->users["ada"] = "quill";
    check({"ada"}, "quill");
    EXPECT_FALSE(remembers("first", "ada", "pencil"));
}

TEST_F(ChainTest, WhatWasAskedBeforeItWasForgottenIsNotRememberedAfterIt) {
    first->users["ada"] = "pencil";
    first->held = true;
    check({"ada"}, "pencil");
    chain->forget("ada");
    first->waiting(Found{});
    EXPECT_FALSE(remembers("first", "ada", "pencil"));
}

TEST_F(ChainTest, NothingIsRememberedWhenThatIsSwitchedOff) {
    first->settings_.cache_time = std::chrono::seconds(0);
    first->users["ada"] = "pencil";
    check({"ada"}, "pencil");
    EXPECT_FALSE(remembers("first", "ada", "pencil"));
}

TEST_F(ChainTest, MailForTheSameUserAsksOnce) {
    first->users["ada"] = "pencil";
    EXPECT_EQ(std::get<BackendUser>(find({"ada"})).backend, "first");
    EXPECT_EQ(std::get<BackendUser>(find({"ada"})).name, "ada");
    EXPECT_EQ(first->asked.size(), 1U);
    EXPECT_TRUE(std::holds_alternative<BackendUnknown>(find({"eve"})));
    EXPECT_TRUE(std::holds_alternative<BackendUnknown>(find({"eve"})));
    EXPECT_EQ(first->asked.size(), 2U);
    now += first->settings_.cache_unknown_time;
    first->users["eve"] = "x";
    EXPECT_TRUE(std::holds_alternative<BackendUser>(find({"eve"})));
}

// Whoever guesses would learn by the time an answer takes that a name was asked before and is nobody's.
TEST_F(ChainTest, AnUnknownUserWhoLogsInIsAskedForEachTime) {
    check({"eve"}, "x");
    check({"eve"}, "x");
    EXPECT_EQ(first->asked.size(), 2U);
}

TEST_F(ChainTest, AnOutageIsNotRemembered) {
    first->out = true;
    find({"ada"});
    first->out = false;
    first->users["ada"] = "pencil";
    EXPECT_TRUE(std::holds_alternative<BackendUser>(find({"ada"})));
}

TEST_F(ChainTest, AUserWhoIsGoneIsNotRememberedAnyMore) {
    first->users["ada"] = "pencil";
    check({"ada"}, "pencil");
    first->users.clear();
    check({"ada"}, "pencil");
    EXPECT_FALSE(remembers("first", "ada", "pencil"));
}

TEST(Cache, TheNameUsedLeastRecentlyGoesFirst) {
    for (const std::size_t most : {1U, 2U, 3U}) {
        Cache cache(most);
        const Time now{}, until = now + std::chrono::seconds(1);
        cache.keep_name("b", "ada", "ada", until, 0);
        cache.keep_name("b", "bob", "bob", until, 0);
        if (most > 1) {
            EXPECT_EQ(cache.account_of("b", "ada", now), "ada");
        }
        cache.keep_name("b", "eve", "", until, 0);
        EXPECT_EQ(cache.size(), std::min<std::size_t>(most, 3));
        EXPECT_EQ(cache.account_of("b", "ada", now).has_value(), most > 1);
        EXPECT_EQ(cache.account_of("b", "bob", now).has_value(), most > 2);
        EXPECT_EQ(cache.account_of("b", "eve", now), "");
    }
    Cache none(0);
    none.keep_name("b", "ada", "ada", Time(std::chrono::hours(1)), 0);
    EXPECT_EQ(none.size(), 0U);
}

}  // namespace
}  // namespace pier::backends
