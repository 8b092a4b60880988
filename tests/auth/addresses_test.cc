// Addresses that lead elsewhere: targets of aliases, forwarding, domains with the addresses of another.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "auth/directory.h"
#include "auth/memory_store.h"
#include "auth/record.h"

namespace pier::auth {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class AddressesTest : public testing::Test {
  protected:
    void SetUp() override {
        reload();
        ASSERT_TRUE(directory->put_domain({"example.org"}));
        for (const char* name : {"ada", "bob", "cy@example.org"})
            ASSERT_TRUE(add(name));
    }
    void reload() {
        directory.reset();
        store = std::make_unique<test::MemoryStore>(disk);
        directory = std::make_unique<Directory>(*store);
        ASSERT_TRUE(directory->load());
    }
    Result<AccountPtr> add(const char* name) {
        // A cheap hash: it is never checked.
        return directory->add({.name = name, .password_scheme = "{SHA}0vxRJJChUDZGC1SJQBQ51tpUB/o="});
    }
    Result<AccountPtr> forward(const char* name, std::vector<std::string> to,
                               std::optional<bool> keep_copy = std::nullopt) {
        AccountChange change;
        change.forward = std::move(to);
        change.keep_copy = keep_copy;
        return directory->change(name, change);
    }
    // Accounts, then addresses of other servers; or the kind of error.
    std::vector<std::string> resolved(std::string_view local, std::string_view domain = "example.org") {
        const auto found = directory->resolve(local, domain);
        if (!found) return {"error: " + std::string(to_string(found.error().kind))};
        std::vector<std::string> names;
        for (const auto& account : found->accounts)
            names.push_back(account->name);
        names.insert(names.end(), found->elsewhere.begin(), found->elsewhere.end());
        return names;
    }
    template <class T>
    static std::string error_of(const Result<T>& result) {
        return result ? "none" : result.error().text;
    }

    std::shared_ptr<test::MemoryStore::Disk> disk = std::make_shared<test::MemoryStore::Disk>();
    std::unique_ptr<test::MemoryStore> store;
    std::unique_ptr<Directory> directory;
};

TEST_F(AddressesTest, AliasesMayLeadElsewhere) {
    ASSERT_TRUE(directory->put_alias({"team", {"ada", "Zoe.B+x@Example.net", "zoe.b+x@example.NET"}}));
    ASSERT_TRUE(directory->put_alias({"all@example.org", {"team", "bob"}}));
    for (int round = 0; round < 2; ++round) {
        // The local part is the other server's to understand, so it stays as it was given.
        EXPECT_THAT(resolved("team"), ElementsAre("ada", "Zoe.B+x@example.net"));
        EXPECT_THAT(resolved("all"), ElementsAre("ada", "bob", "Zoe.B+x@example.net"));
        reload();
    }
}

TEST_F(AddressesTest, WhatIsNoAddressElsewhereIsRefused) {
    const auto put = [&](const char* target) { return error_of(directory->put_alias({"out", {target}})); };
    EXPECT_THAT(put("eve@example.org"), HasSubstr("neither an account nor an alias"));
    EXPECT_THAT(put("eve"), HasSubstr("neither an account nor an alias"));
    EXPECT_THAT(put("@example.net"), HasSubstr("nothing before the @"));
    EXPECT_THAT(put("a b@example.net"), HasSubstr("may not have ' '"));
    EXPECT_THAT(put("a\r\nb@example.net"), HasSubstr("control character"));
    EXPECT_THAT(put("\"a\"@example.net"), HasSubstr("may not have '\"'"));
    EXPECT_THAT(put("a..b@example.net"), HasSubstr("two in a row"));
    EXPECT_THAT(put("a@example..net"), HasSubstr("empty part"));
    EXPECT_THAT(put((std::string(244, 'a') + "@example.net").c_str()), HasSubstr("longer than 255"));
    EXPECT_EQ(put((std::string(243, 'a') + "@example.net").c_str()), "none");
}

TEST_F(AddressesTest, AnAddressElsewhereIsLookedForHereOnceItsDomainIsOurs) {
    ASSERT_TRUE(directory->put_alias({"out", {"zoe@example.net", "ada"}}));
    ASSERT_TRUE(directory->put_domain({"example.net"}));
    EXPECT_THAT(resolved("out"), ElementsAre("ada"));
    ASSERT_TRUE(add("zoe@example.net"));
    EXPECT_THAT(resolved("out"), ElementsAre("zoe@example.net", "ada"));
}

TEST_F(AddressesTest, AnAccountForwardsAndKeepsACopyOrNot) {
    ASSERT_TRUE(forward("ada", {"zoe@example.net", "BOB"}));
    EXPECT_THAT(resolved("ada"), ElementsAre("ada", "bob", "zoe@example.net"));
    ASSERT_TRUE(forward("ada", {"zoe@example.net"}, false));
    for (int round = 0; round < 2; ++round) {
        EXPECT_THAT(resolved("ada"), ElementsAre("zoe@example.net"));
        EXPECT_THAT(resolved("ada+lists"), ElementsAre("zoe@example.net"));
        reload();
    }
    ASSERT_TRUE(forward("ada", {}));
    EXPECT_THAT(resolved("ada"), ElementsAre("ada"));
    EXPECT_TRUE(directory->find("ada")->keep_copy);
    std::vector<std::string> many;
    for (int i = 0; i < 101; ++i)
        many.push_back("n" + std::to_string(i) + "@example.net");
    EXPECT_THAT(error_of(forward("ada", many)), HasSubstr("at most 100"));
    many.pop_back();
    EXPECT_EQ(error_of(forward("ada", many)), "none");
}

TEST_F(AddressesTest, NobodyForwardsInCircles) {
    ASSERT_TRUE(forward("ada", {"bob"}, false));
    EXPECT_THAT(error_of(forward("ada", {"ada"})), HasSubstr("leads back to ada"));
    EXPECT_THAT(error_of(forward("bob", {"ada"})), HasSubstr("leads back to bob"));
    ASSERT_TRUE(directory->put_alias({"team", {"ada"}}));
    EXPECT_THAT(error_of(forward("bob", {"team"})), HasSubstr("leads back to bob"));
    ASSERT_TRUE(forward("bob", {"cy@example.org"}));
    EXPECT_THAT(error_of(directory->put_alias({"cy", {"team"}})), "none");
    EXPECT_THAT(error_of(forward("cy@example.org", {"cy"})), HasSubstr("leads back"));
}

// What a program without the check may have stored.
TEST_F(AddressesTest, MailIsNotLostInAStoredCircle) {
    for (const auto& [name, to] : {std::pair("ada", "bob"), std::pair("bob", "ada")}) {
        Account account = *directory->find(name);
        account.forward = {to};
        account.keep_copy = false;
        disk->records[{store::DirectoryKind::account, name}].value = write_account(account, Presence::living);
    }
    reload();
    EXPECT_THAT(resolved("ada"), ElementsAre("ada"));
}

TEST_F(AddressesTest, MailIsKeptWhenItsWayForwardIsGone) {
    ASSERT_TRUE(forward("ada", {"zoe@example.net"}, false));
    ASSERT_TRUE(directory->put_domain({"example.net"}));
    EXPECT_THAT(resolved("ada"), ElementsAre("ada"));
}

TEST_F(AddressesTest, WhomOthersForwardToIsNotRemoved) {
    ASSERT_TRUE(directory->put_alias({"team", {"bob"}}));
    ASSERT_TRUE(forward("ada", {"bob"}));
    ASSERT_TRUE(forward("cy@example.org", {"team"}));
    ASSERT_TRUE(directory->put_alias({"team", {"ada"}}));
    EXPECT_THAT(error_of(directory->remove("bob")), HasSubstr("ada forwards its mail to bob"));
    EXPECT_THAT(error_of(directory->remove_alias("team")), HasSubstr("cy@example.org forwards"));
}

TEST_F(AddressesTest, ADomainMayHaveTheAddressesOfAnother) {
    ASSERT_TRUE(directory->put_domain({.name = "Example.net", .alias_of = "Example.org"}));
    for (int round = 0; round < 2; ++round) {
        EXPECT_THAT(resolved("cy", "example.net"), ElementsAre("cy@example.org"));
        EXPECT_THAT(resolved("cy+x", "EXAMPLE.net"), ElementsAre("cy@example.org"));
        EXPECT_THAT(resolved("ada", "example.net"), ElementsAre("ada"));
        EXPECT_THAT(resolved("eve", "example.net"), ElementsAre("error: not_found"));
        EXPECT_EQ(directory->find_login("Cy@example.net")->name, "cy@example.org");
        EXPECT_EQ(directory->find_login("ada@example.net")->name, "ada");
        EXPECT_THAT(directory->names_to_ask("dora@example.net"), ElementsAre("dora@example.org", "dora"));
        EXPECT_THAT(directory->names_to_ask("dora", "example.net"), ElementsAre("dora@example.org", "dora"));
        EXPECT_TRUE(directory->has_domain("example.net"));
        reload();
    }
    ASSERT_TRUE(directory->put_alias({"team", {"cy@example.net"}}));
    EXPECT_THAT(directory->aliases()[0].targets, ElementsAre("cy@example.org"));
    EXPECT_THAT(error_of(add("eve@example.net")), HasSubstr("add them there"));
    EXPECT_THAT(error_of(directory->put_alias({"x@example.net", {"ada"}})), HasSubstr("add them there"));
    EXPECT_THAT(error_of(directory->put_domain({.name = "a.example", .alias_of = "example.net"})),
                HasSubstr("itself an alias"));
    EXPECT_THAT(error_of(directory->put_domain({.name = "a.example", .alias_of = "b.example"})),
                HasSubstr("pier domain add b.example"));
    EXPECT_THAT(error_of(directory->put_domain({.name = "a.example", .alias_of = "a.example"})),
                HasSubstr("alias of itself"));
    EXPECT_THAT(error_of(directory->remove_domain("example.org")), HasSubstr("belongs to the domain"));
}

TEST_F(AddressesTest, ADomainChanges) {
    ASSERT_TRUE(directory->put_domain({"example.net"}));
    ASSERT_TRUE(directory->put_domain({"example.com"}));
    DomainChange change;
    change.quota_octets = 1 << 30;
    ASSERT_TRUE(directory->change_domain("Example.org", change));
    change = {};
    change.alias_of = "example.net";
    EXPECT_THAT(error_of(directory->change_domain("example.org", change)), HasSubstr("cannot become"));
    ASSERT_TRUE(directory->change_domain("example.com", change));
    EXPECT_THAT(error_of(directory->remove_domain("example.net")), HasSubstr("example.com is an alias"));
    change.alias_of = "example.org";
    EXPECT_THAT(error_of(directory->change_domain("example.net", change)), HasSubstr("cannot be one"));
    EXPECT_THAT(error_of(directory->change_domain("nowhere.example", change)), HasSubstr("no domain"));
    reload();
    EXPECT_EQ(directory->domain("example.org")->quota_octets, 1u << 30);
    EXPECT_EQ(directory->domain("example.com")->alias_of, "example.net");
    change.alias_of = "";
    ASSERT_TRUE(directory->change_domain("example.com", change));
    EXPECT_EQ(directory->domain("example.com")->alias_of, "");
    EXPECT_FALSE(directory->domain("nowhere.example"));
    ASSERT_EQ(directory->accounts_of("example.org").size(), 1u);
}

TEST_F(AddressesTest, TheSeparatorIsAChoice) {
    directory->use_separator("-");
    EXPECT_THAT(resolved("ada-lists"), ElementsAre("ada"));
    EXPECT_THAT(resolved("ada+lists"), ElementsAre("error: not_found"));
    directory->use_separator("");
    EXPECT_THAT(resolved("ada-lists"), ElementsAre("error: not_found"));
    ASSERT_TRUE(add("ada-lists"));
    directory->use_separator("-");
    EXPECT_THAT(resolved("ada-lists"), ElementsAre("ada-lists"));
    EXPECT_THAT(directory->aliases(), IsEmpty());
}

}  // namespace
}  // namespace pier::auth
