#include "auth/sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "auth/memory_store.h"

namespace pier::auth {
namespace {

using testing::ElementsAre;

class SenderTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(directory.load());
        ASSERT_TRUE(directory.put_domain({"example.org"}));
        for (const char* name : {"ada", "grace"}) {
            NewAccount account;
            account.name = name;
            account.password_scheme = "{SHA}0vxRJJChUDZGC1SJQBQ51tpUB/o=";
            (void)directory.add(account);
        }
    }
    SenderClaim claim(std::string_view local, std::string_view domain) {
        return sender_claim(directory, *directory.find("ada"), local, domain);
    }
    void let(std::vector<std::string> others) {
        AccountChange change;
        change.send_as = std::move(others);
        const auto changed = directory.change("ada", change);
        ASSERT_TRUE(changed) << changed.error().text;
    }

    std::shared_ptr<test::MemoryStore::Disk> disk = std::make_shared<test::MemoryStore::Disk>();
    test::MemoryStore store{disk};
    Directory directory{store};
};

TEST_F(SenderTest, OnesOwnAddresses) {
    ASSERT_TRUE(directory.put_alias({"sales@example.org", {"ada", "grace"}}));
    EXPECT_EQ(claim("ada", "example.org"), SenderClaim::own);
    EXPECT_EQ(claim("ADA", "Example.ORG"), SenderClaim::own);
    EXPECT_EQ(claim("ada+shop", "example.org"), SenderClaim::own);
    EXPECT_EQ(claim("sales", "example.org"), SenderClaim::own);
    EXPECT_EQ(claim("sales+x", "example.org"), SenderClaim::own);
    EXPECT_EQ(claim("grace", "example.org"), SenderClaim::none);
    EXPECT_EQ(claim("+ada", "example.org"), SenderClaim::none);
    EXPECT_EQ(claim("ada", "example.net"), SenderClaim::none);
    EXPECT_EQ(claim("ada+x", "example.net"), SenderClaim::none);
    EXPECT_EQ(claim("ada", ""), SenderClaim::none);
    EXPECT_EQ(claim("", ""), SenderClaim::none);
}

TEST_F(SenderTest, ThoseOfOthersThatAreAllowed) {
    let({"Grace@example.org", "@Example.net", "grace@example.org"});
    EXPECT_THAT(directory.find("ada")->send_as, ElementsAre("grace@example.org", "@example.net"));
    EXPECT_EQ(claim("grace", "example.org"), SenderClaim::granted);
    EXPECT_EQ(claim("x", "EXAMPLE.net"), SenderClaim::granted);
    EXPECT_EQ(claim("x", "example.com"), SenderClaim::none);
    let({"any"});
    EXPECT_EQ(claim("x", "example.com"), SenderClaim::any);
    EXPECT_EQ(claim("ada", "example.org"), SenderClaim::own);
    let({});
    EXPECT_EQ(claim("x", "example.com"), SenderClaim::none);
}

TEST_F(SenderTest, WhatIsNoAddressIsRefused) {
    for (const char* bad : {"grace", "", "all", "a b@example.org", "@"})
        EXPECT_FALSE(check_send_as({bad})) << bad;
    EXPECT_TRUE(check_send_as(std::vector<std::string>(101, "any")));
    std::vector<std::string> many;
    for (int i = 0; i < 100; ++i)
        many.push_back("a" + std::to_string(i) + "@example.org");
    EXPECT_TRUE(check_send_as(many));
    many.push_back("b@example.org");
    EXPECT_FALSE(check_send_as(many));
}

TEST_F(SenderTest, ARestartKnowsIt) {
    let({"any"});
    test::MemoryStore again(disk);
    Directory read(again);
    ASSERT_TRUE(read.load());
    EXPECT_THAT(read.find("ada")->send_as, ElementsAre("any"));
}

}  // namespace
}  // namespace pier::auth
