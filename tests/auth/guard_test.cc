// The guard, with a clock that stands still until a test moves it.
#include "auth/guard.h"

#include <thread>

#include <gtest/gtest.h>

namespace pier::auth {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const IpAddress attacker = boost::asio::ip::make_address("192.0.2.7");
const IpAddress home = boost::asio::ip::make_address("198.51.100.1");

IpAddress other_address(unsigned number) {
    return boost::asio::ip::make_address_v4(0x0A00'0000u + number);
}

class GuardTest : public testing::Test {
  protected:
    GuardTest() { remake(); }

    void remake() {
        guard = std::make_unique<Guard>(settings, [this] { return now; });
    }

    enum class Met { let_in, refused, waits };
    // One wrong password, each time another; how long it was delayed goes to `delay`.
    Met guess(const IpAddress& address, const std::string& name, const std::string& password) {
        auto decision = guard->begin(address, name);
        if (std::holds_alternative<Guard::Refusal>(decision)) return Met::refused;
        if (std::holds_alternative<Guard::Wait>(decision)) return Met::waits;
        delay = std::get<Guard::Attempt>(decision).delay();
        std::get<Guard::Attempt>(decision).failed(password);
        return Met::let_in;
    }
    Met guess(const IpAddress& address, const std::string& name) {
        return guess(address, name, "wrong " + std::to_string(++guesses));
    }
    // The right one.
    Met enter(const IpAddress& address, const std::string& name) {
        auto decision = guard->begin(address, name);
        if (std::holds_alternative<Guard::Refusal>(decision)) return Met::refused;
        if (std::holds_alternative<Guard::Wait>(decision)) return Met::waits;
        delay = std::get<Guard::Attempt>(decision).delay();
        std::get<Guard::Attempt>(decision).succeeded();
        return Met::let_in;
    }
    int guesses_until_refused(const IpAddress& address, const std::string& name, int most = 1000) {
        for (int count = 0; count < most; ++count)
            if (guess(address, name) == Met::refused) return count;
        return most;
    }

    GuardSettings settings;
    Time now{std::chrono::sys_days(std::chrono::year(2026) / 11 / 28)};
    std::unique_ptr<Guard> guard;
    seconds delay{};
    int guesses = 0;
};

TEST_F(GuardTest, DelaysGrowAndThenTheLoginIsBlockedUntilAnEnd) {
    std::vector<int> delays;
    for (int i = 0; i < 10; ++i) {
        ASSERT_EQ(guess(attacker, "ada"), Met::let_in) << i;
        delays.push_back(static_cast<int>(delay.count()));
    }
    EXPECT_EQ(delays, (std::vector{0, 0, 0, 1, 2, 4, 8, 15, 15, 15}));
    EXPECT_EQ(guess(attacker, "ada"), Met::refused);
    EXPECT_EQ(enter(attacker, "ada"), Met::refused) << "the right password is not looked at either";
    EXPECT_EQ(enter(home, "ada"), Met::let_in) << "another address is another matter";
    EXPECT_EQ(enter(attacker, "grace"), Met::let_in) << "and so is another account";
    now += minutes(10);
    EXPECT_EQ(guess(attacker, "ada"), Met::let_in);
}

TEST_F(GuardTest, EachFurtherBlockLastsTwiceAsLong) {
    minutes expected{10};
    for (int block = 0; block < 6; ++block) {
        EXPECT_LT(guesses_until_refused(attacker, "ada"), 20);
        now += expected - seconds(1);
        EXPECT_EQ(guess(attacker, "ada"), Met::refused) << block;
        now += seconds(1);
        expected *= 2;
    }
}

TEST_F(GuardTest, TheSameWrongPasswordAgainCountsOnce) {
    for (int i = 0; i < 500; ++i)
        ASSERT_EQ(guess(attacker, "ada", "last year's"), Met::let_in) << i;
    EXPECT_EQ(delay, seconds(0));
    // Two devices, two old passwords.
    for (int i = 0; i < 500; ++i)
        ASSERT_EQ(guess(attacker, "ada", i % 2 == 0 ? "last year's" : "the one before"), Met::let_in) << i;
    EXPECT_EQ(enter(attacker, "ada"), Met::let_in);
}

TEST_F(GuardTest, AnAddressThatTriesManyAccountsIsBlocked) {
    int tried = 0;
    while (guess(attacker, "user" + std::to_string(tried)) == Met::let_in && tried < 1000)
        ++tried;
    EXPECT_EQ(tried, 20);
    EXPECT_TRUE(guard->blocks(attacker));
    EXPECT_FALSE(guard->blocks(home));
    now += minutes(10);
    EXPECT_FALSE(guard->blocks(attacker));
}

TEST_F(GuardTest, AnIpv6CustomerIsCountedByHis64) {
    const auto host = [](int number) {
        return boost::asio::ip::make_address("2001:db8:1:2::" + std::to_string(number));
    };
    for (int i = 0; i < 20; ++i)
        ASSERT_EQ(guess(host(i), "user" + std::to_string(i)), Met::let_in);
    EXPECT_TRUE(guard->blocks(host(999)));
    EXPECT_FALSE(guard->blocks(boost::asio::ip::make_address("2001:db8:1:3::1")));
}

TEST_F(GuardTest, AnOwnerStillEntersWhileAThousandAddressesGuess) {
    ASSERT_EQ(enter(home, "ada"), Met::let_in);
    unsigned number = 0;
    while (guess(other_address(number), "ada") == Met::let_in && number < 1000)
        ++number;
    EXPECT_EQ(number, 100u) << "then the account is blocked for addresses that it does not know";
    EXPECT_EQ(enter(other_address(5000), "ada"), Met::refused);
    EXPECT_EQ(enter(home, "ada"), Met::let_in);
    EXPECT_EQ(delay, seconds(0));
}

TEST_F(GuardTest, SomebodyAtTheOwnersAddressOnlySlowsHimDown) {
    ASSERT_EQ(enter(home, "ada"), Met::let_in);
    EXPECT_EQ(guesses_until_refused(home, "ada", 200), 200);
    EXPECT_EQ(delay, settings.delay_max);
    EXPECT_FALSE(guard->blocks(home));
    // Others of that address get no further, but those who own an account do.
    EXPECT_EQ(enter(home, "grace"), Met::refused);
    EXPECT_EQ(enter(home, "ada"), Met::let_in);
    EXPECT_LE(delay, settings.delay_max);
}

TEST_F(GuardTest, AttemptsUnderWayCountAsIfTheyHadFailed) {
    std::vector<Guard::Attempt> under_way;
    for (int i = 0; i < 100; ++i) {
        auto decision = guard->begin(attacker, "ada");
        if (auto* attempt = std::get_if<Guard::Attempt>(&decision)) under_way.push_back(std::move(*attempt));
    }
    EXPECT_EQ(under_way.size(), settings.pair_failures_max);
    int called = 0;
    guard->when_changed([&] { ++called; });
    EXPECT_EQ(called, 0);
    for (Guard::Attempt& attempt : under_way)
        attempt.failed("guess " + std::to_string(++guesses));
    EXPECT_EQ(called, 1);
    EXPECT_EQ(guess(attacker, "ada"), Met::refused);
    guard->when_changed([&] { ++called; });
    EXPECT_EQ(called, 2) << "nothing is under way: at once";
}

TEST_F(GuardTest, ManySessionsOfOneOwnerAtOnceAllEnter) {
    std::vector<Guard::Attempt> under_way;
    int entered = 0, waiting = 256;
    while (waiting > 0) {
        auto decision = guard->begin(attacker, "ada");
        ASSERT_FALSE(std::holds_alternative<Guard::Refusal>(decision));
        if (auto* attempt = std::get_if<Guard::Attempt>(&decision)) {
            under_way.push_back(std::move(*attempt));
            --waiting;
            continue;
        }
        for (Guard::Attempt& attempt : under_way) {
            attempt.succeeded();
            ++entered;
        }
        under_way.clear();
    }
    EXPECT_GT(entered, 200);
}

TEST_F(GuardTest, ALoginThatWasNotCheckedCountsNothing) {
    for (int i = 0; i < 100; ++i)
        ASSERT_TRUE(std::holds_alternative<Guard::Attempt>(guard->begin(attacker, "ada")));
    EXPECT_EQ(guess(attacker, "ada"), Met::let_in);
    EXPECT_EQ(delay, seconds(0));
}

TEST_F(GuardTest, ASharedAddressIsNeverBlockedByItself) {
    settings.shared = {*Network::parse("192.0.2.0/24")};
    remake();
    for (int i = 0; i < 200; ++i) {
        ASSERT_EQ(guess(attacker, "user" + std::to_string(i)), Met::let_in) << i;
        guard->strike(attacker, "no login");
    }
    EXPECT_FALSE(guard->blocks(attacker));
    // But one account is not guessed at without end from there.
    EXPECT_EQ(guesses_until_refused(attacker, "ada"), 10);
    EXPECT_EQ(enter(attacker, "grace"), Met::let_in);
}

TEST_F(GuardTest, AScannerIsBlocked) {
    for (int i = 0; i < 100; ++i) {
        EXPECT_FALSE(guard->blocks(attacker)) << i;
        guard->strike(attacker, "no login");
    }
    EXPECT_TRUE(guard->blocks(attacker));
    // An owner's address is not: his old mail program may do odd things.
    ASSERT_EQ(enter(home, "ada"), Met::let_in);
    for (int i = 0; i < 500; ++i)
        guard->strike(home, "tls");
    EXPECT_FALSE(guard->blocks(home));
}

TEST_F(GuardTest, OldFailuresAreForgotten) {
    for (int i = 0; i < 9; ++i)
        ASSERT_EQ(guess(attacker, "ada"), Met::let_in);
    now += settings.window;
    EXPECT_EQ(guess(attacker, "ada"), Met::let_in);
    EXPECT_EQ(delay, seconds(0));
}

TEST_F(GuardTest, AMillionAddressesStayWithinTheLimitAndDoNotPushABlockOut) {
    settings.entries_max = 1000;
    remake();
    ASSERT_EQ(guesses_until_refused(attacker, "ada"), 10);
    for (int i = 0; i < 20; ++i)
        guess(attacker, "user" + std::to_string(i));
    ASSERT_TRUE(guard->blocks(attacker));
    for (unsigned i = 0; i < 1'000'000; ++i)
        guess(other_address(i), "name" + std::to_string(i % 70'000));
    const auto counts = guard->counts();
    EXPECT_LE(counts.addresses, 1000u);
    EXPECT_LE(counts.accounts, 1000u);
    EXPECT_LE(counts.pairs, 1000u);
    EXPECT_TRUE(guard->blocks(attacker));
}

TEST_F(GuardTest, WhatLeakedAwayIsTidiedUp) {
    for (unsigned i = 0; i < 100; ++i)
        guess(other_address(i), "ada" + std::to_string(i));
    now += settings.window + settings.block_time_max * 2;
    guard->tidy_up();
    const auto counts = guard->counts();
    EXPECT_EQ(counts.addresses + counts.accounts + counts.pairs, 0u);
}

TEST_F(GuardTest, ABlockByHandIsForEverybodyThere) {
    ASSERT_EQ(enter(home, "ada"), Met::let_in);
    ASSERT_TRUE(guard->block(*Network::parse("198.51.100.0/24"), hours(1), "noisy"));
    EXPECT_TRUE(guard->blocks(home));
    EXPECT_EQ(enter(home, "ada"), Met::refused);
    ASSERT_EQ(guard->list().size(), 1u);
    EXPECT_EQ(guard->list()[0].address, "198.51.100.0/24");
    EXPECT_EQ(guard->unblock(*Network::parse("198.51.100.1")), 0u) << "a part of what was blocked";
    EXPECT_EQ(guard->unblock(*Network::parse("198.51.100.0/24")), 1u);
    EXPECT_FALSE(guard->blocks(home));
}

TEST_F(GuardTest, UnblockingForgetsWhatWasCounted) {
    ASSERT_EQ(guesses_until_refused(attacker, "ada"), 10);
    EXPECT_EQ(guard->unblock(*Network::parse("192.0.2.7")), 1u);
    EXPECT_EQ(guess(attacker, "ada"), Met::let_in);
    EXPECT_EQ(delay, seconds(0));
    ASSERT_LT(guesses_until_refused(attacker, "ada"), 11);
    EXPECT_EQ(guard->unblock_account("ada"), 1u);
    EXPECT_EQ(guess(attacker, "ada"), Met::let_in);
}

TEST_F(GuardTest, ExplainsWhatAnAddressMeets) {
    ASSERT_EQ(enter(home, "ada"), Met::let_in);
    auto explained = guard->explain(home, "ada");
    EXPECT_TRUE(explained.known && explained.connects);
    EXPECT_EQ(explained.login, "allowed");
    EXPECT_EQ(explained.known_accounts, std::vector<std::string>{"ada"});
    ASSERT_EQ(guesses_until_refused(attacker, "ada"), 10);
    explained = guard->explain(attacker, "ada");
    EXPECT_TRUE(explained.login.starts_with("refused until ")) << explained.login;
    EXPECT_NEAR(explained.failures, 10, 0.01);
    ASSERT_EQ(explained.blocks.size(), 1u);
    EXPECT_EQ(explained.blocks[0].what, "login");
    EXPECT_EQ(guard->explain(attacker, "grace").blocks.size(), 0u);
}

TEST_F(GuardTest, SurvivesARestart) {
    ASSERT_EQ(enter(home, "ada"), Met::let_in);
    ASSERT_EQ(guesses_until_refused(attacker, "ada"), 10);
    ASSERT_TRUE(guard->block(*Network::parse("203.0.113.0/24"), hours(1), "by hand"));
    for (int i = 0; i < 5; ++i)
        guess(other_address(1), "grace");
    EXPECT_TRUE(guard->take_changes().urgent);
    EXPECT_FALSE(guard->take_changes().any);
    const std::string saved = guard->save();
    EXPECT_EQ(saved.find("wrong"), saved.find("wrong passwords")) << "no password, and no hash of one";

    remake();
    ASSERT_TRUE(guard->restore(saved));
    EXPECT_EQ(guard->save(), saved);
    EXPECT_EQ(guess(attacker, "ada"), Met::refused);
    EXPECT_TRUE(guard->blocks(boost::asio::ip::make_address("203.0.113.5")));
    EXPECT_TRUE(guard->explain(home, "ada").known);
    EXPECT_EQ(guess(other_address(1), "grace"), Met::let_in);
    EXPECT_EQ(delay, seconds(4));
}

TEST_F(GuardTest, ADamagedStateIsRefusedWhole) {
    ASSERT_EQ(guesses_until_refused(attacker, "ada"), 10);
    const std::string saved = guard->save();
    for (std::size_t length = 0; length < saved.size(); ++length)
        EXPECT_FALSE(guard->restore(saved.substr(0, length))) << length;
    for (const char* text :
         {"", "[]", "{}", R"({"v":2})",
          R"({"v":1,"addresses":[{"key":7}],"accounts":[],"logins":[],"by_hand":[],"known":[]})",
          R"({"v":1,"addresses":[],"accounts":[],"logins":[],"by_hand":[],"known":[["a","b",1]]})"})
        EXPECT_FALSE(guard->restore(text)) << text;
    EXPECT_EQ(guess(attacker, "ada"), Met::refused);
}

TEST_F(GuardTest, SwitchedOffItLetsEverybodyIn) {
    settings.enabled = false;
    remake();
    for (int i = 0; i < 1000; ++i) {
        ASSERT_EQ(guess(attacker, "ada"), Met::let_in);
        guard->strike(attacker, "no login");
    }
    EXPECT_FALSE(guard->blocks(attacker));
    EXPECT_EQ(guard->counts().pairs, 0u);
}

TEST_F(GuardTest, AClockThatIsSetBackBreaksNothing) {
    ASSERT_EQ(guesses_until_refused(attacker, "ada"), 10);
    now -= hours(1);
    EXPECT_EQ(guess(attacker, "ada"), Met::refused);
    EXPECT_EQ(enter(home, "ada"), Met::let_in);
    guard->tidy_up();
    now += hours(3);
    EXPECT_EQ(guess(attacker, "ada"), Met::let_in);
}

TEST_F(GuardTest, ManyThreadsAtOnce) {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 4; ++t)
        threads.emplace_back([this, t] {
            for (unsigned i = 0; i < 3000; ++i) {
                auto decision = guard->begin(other_address(i % 50), "ada" + std::to_string(t));
                if (auto* attempt = std::get_if<Guard::Attempt>(&decision)) {
                    if (i % 3 == 0) attempt->failed(std::to_string(i));
                    if (i % 3 == 1) attempt->succeeded();
                }
                guard->strike(other_address(i % 50), "no login");
                guard->blocks(other_address(i));
                if (i % 500 == 0) guard->tidy_up();
            }
        });
    threads.clear();
    for (unsigned i = 0; i < 50; ++i)
        guard->unblock(Network::of_one(other_address(i)));
    guard->tidy_up();
    int called = 0;
    guard->when_changed([&] { ++called; });
    EXPECT_EQ(called, 1) << "no attempt is left over";
}

}  // namespace
}  // namespace pier::auth
