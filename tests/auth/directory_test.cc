#include "auth/directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "auth/memory_store.h"
#include "auth/record.h"

namespace pier::auth {
namespace {

using store::DirectoryKind;
using test::MemoryStore;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Cheap to check and to set: what the password is does not matter in most of these tests.
constexpr const char* cheap = "{SHA}0vxRJJChUDZGC1SJQBQ51tpUB/o=";  // pencil

class DirectoryTest : public testing::Test {
  protected:
    void SetUp() override {
        reload();
        ASSERT_TRUE(directory->put_domain({"example.org"}));
    }
    void reload() {
        directory.reset();
        store = std::make_unique<MemoryStore>(disk);
        directory = std::make_unique<Directory>(*store);
        const auto loaded = directory->load();
        ASSERT_TRUE(loaded) << loaded.error().text;
    }
    Result<AccountPtr> add(const std::string& name) {
        NewAccount account;
        account.name = name;
        account.password_scheme = cheap;
        return directory->add(account);
    }
    std::vector<std::string> resolved(std::string_view local, std::string_view domain) {
        std::vector<std::string> names;
        const auto found = directory->resolve(local, domain);
        if (!found) return {"error: " + std::string(to_string(found.error().kind))};
        for (const auto& account : found->accounts)
            names.push_back(account->name);
        names.insert(names.end(), found->elsewhere.begin(), found->elsewhere.end());
        return names;
    }
    std::string stored(DirectoryKind kind, const std::string& key) {
        const auto record = store->get(kind, key);
        return *record ? (*record)->value : "";
    }

    std::shared_ptr<MemoryStore::Disk> disk = std::make_shared<MemoryStore::Disk>();
    std::unique_ptr<MemoryStore> store;
    std::unique_ptr<Directory> directory;
};

template <class T>
void expect_error(const Result<T>& result, ErrorKind kind, const char* text) {
    ASSERT_FALSE(result);
    EXPECT_EQ(to_string(result.error().kind), to_string(kind)) << result.error().text;
    EXPECT_THAT(result.error().text, HasSubstr(text));
}

TEST_F(DirectoryTest, AnAddedAccountIsFoundAndSurvivesALoad) {
    NewAccount wanted;
    wanted.name = "Ada@Example.ORG";
    wanted.password = "correct horse";
    wanted.quota_octets = 5'000'000'000;
    wanted.exclusive = true;
    const auto added = directory->add(wanted);
    ASSERT_TRUE(added) << added.error().text;
    for (int round = 0; round < 2; ++round) {
        const auto account = directory->find("ADA@example.org");
        ASSERT_TRUE(account);
        EXPECT_EQ(account->name, "ada@example.org");
        EXPECT_NE(account->id, store::AccountId{});
        EXPECT_NE(account->inbox, store::MailboxId{});
        EXPECT_EQ(account->quota_octets, 5'000'000'000u);
        EXPECT_TRUE(account->exclusive);
        EXPECT_FALSE(account->disabled);
        EXPECT_TRUE(account->scram_sha1 && account->scram_sha256);
        EXPECT_TRUE(password_matches(account->password, "correct horse"));
        EXPECT_EQ(directory->find(account->id), account);
        EXPECT_EQ(account->id, (*added)->id);
        EXPECT_EQ(account->inbox, (*added)->inbox);
        EXPECT_EQ(account->created, (*added)->created);
        reload();
    }
    EXPECT_THAT(stored(DirectoryKind::account, "ada@example.org"), testing::Not(HasSubstr("correct horse")));
}

TEST_F(DirectoryTest, AccountsAreListedByName) {
    for (const char* name : {"c", "a", "b@example.org"})
        ASSERT_TRUE(add(name));
    std::vector<std::string> names;
    for (const auto& account : directory->accounts())
        names.push_back(account->name);
    EXPECT_THAT(names, ElementsAre("a", "b@example.org", "c"));
}

TEST_F(DirectoryTest, AddRefusesWithTheNextStep) {
    expect_error(add("../x"), ErrorKind::invalid, "may not have '/'");
    expect_error(add("ada@example.net"), ErrorKind::not_found, "pier domain add example.net");
    ASSERT_TRUE(add("ada"));
    expect_error(add("ADA"), ErrorKind::exists, "already");
    ASSERT_TRUE(directory->put_alias({"boss", {"ada"}}));
    expect_error(add("boss"), ErrorKind::exists, "pier alias remove boss");
    NewAccount both{.name = "x", .password = "p", .password_scheme = cheap};
    expect_error(directory->add(both), ErrorKind::invalid, "not both");
    NewAccount broken{.name = "x", .password_scheme = "{NTLM}x"};
    expect_error(directory->add(broken), ErrorKind::invalid, "known are");
    EXPECT_EQ(directory->find("x"), nullptr);
    EXPECT_EQ(stored(DirectoryKind::account, "x"), "");
}

TEST_F(DirectoryTest, AReadablePasswordIsNeverStored) {
    ASSERT_TRUE(directory->add({.name = "ada", .password_scheme = "{PLAIN}correct horse"}));
    const auto account = directory->find("ada");
    EXPECT_TRUE(is_current_password(account->password));
    EXPECT_TRUE(password_matches(account->password, "correct horse"));
    EXPECT_TRUE(account->scram_sha256);
    EXPECT_THAT(stored(DirectoryKind::account, "ada"), testing::Not(HasSubstr("correct horse")));
}

TEST_F(DirectoryTest, AnImportedHashIsKeptAndScramKeysAreTakenOver) {
    ASSERT_TRUE(add("ada"));
    EXPECT_EQ(directory->find("ada")->password, cheap);
    EXPECT_FALSE(directory->find("ada")->scram_sha1);
    ASSERT_TRUE(directory->add(
        {.name = "bob",
         .password_scheme =
             "{SCRAM-SHA-1}4096,Af5zYWx0,m6xJJUyJrnecPnSCdd54j7C8Rw0=,2tSvhzIuo2dKAokBI3YD9idavS4="}));
    EXPECT_EQ(directory->find("bob")->scram_sha1->iterations, 4096u);
    EXPECT_FALSE(directory->find("bob")->scram_sha256);
}

TEST_F(DirectoryTest, AnAccountMayHaveNoPassword) {
    ASSERT_TRUE(directory->add({.name = "archive"}));
    EXPECT_EQ(directory->find("archive")->password, "");
}

TEST_F(DirectoryTest, ChangeChangesWhatIsGivenAndNothingElse) {
    ASSERT_TRUE(add("ada"));
    const auto before = directory->find("ada");
    AccountChange change;
    change.quota_octets = 1000;
    ASSERT_TRUE(directory->change("ADA", change));
    change = {};
    change.disabled = true;
    change.disabled_text = "bill unpaid";
    ASSERT_TRUE(directory->change("ada", change));
    reload();
    const auto account = directory->find("ada");
    EXPECT_EQ(account->quota_octets, 1000u);
    EXPECT_TRUE(account->disabled);
    EXPECT_EQ(account->disabled_text, "bill unpaid");
    EXPECT_EQ(account->password, cheap);
    EXPECT_EQ(account->id, before->id);
    EXPECT_EQ(account->inbox, before->inbox);
    change = {};
    change.password = "new";
    ASSERT_TRUE(directory->change("ada", change));
    EXPECT_TRUE(password_matches(directory->find("ada")->password, "new"));
    EXPECT_TRUE(directory->find("ada")->scram_sha1);
    change = {};
    change.password_scheme = "";
    ASSERT_TRUE(directory->change("ada", change));
    EXPECT_EQ(directory->find("ada")->password, "");
    EXPECT_FALSE(directory->find("ada")->scram_sha1) << "old keys would let the old password in";
    EXPECT_EQ(directory->find("ada")->quota_octets, 1000u);
    EXPECT_TRUE(before->quota_octets == 0) << "an account that somebody holds never changes";
}

TEST_F(DirectoryTest, ChangeRefuses) {
    ASSERT_TRUE(add("ada"));
    expect_error(directory->change("bob", {}), ErrorKind::not_found, "no account bob");
    AccountChange change;
    change.password = "";
    expect_error(directory->change("ada", change), ErrorKind::invalid, "empty");
    change = {};
    for (const std::size_t octets : {199, 200}) {
        change.disabled_text = std::string(octets, 'x');
        EXPECT_TRUE(directory->change("ada", change));
    }
    change.disabled_text = std::string(201, 'x');
    expect_error(directory->change("ada", change), ErrorKind::invalid, "200");
    change.disabled_text = "x\r\n+OK";
    expect_error(directory->change("ada", change), ErrorKind::invalid, "line end");
}

TEST_F(DirectoryTest, UpgradeLosesAgainstAChangeMadeMeanwhile) {
    ASSERT_TRUE(add("ada"));
    const auto better = store_password("pencil");
    ASSERT_TRUE(directory->upgrade_password("ada", "{SHA}other", *better));
    EXPECT_EQ(directory->find("ada")->password, cheap);
    ASSERT_TRUE(directory->upgrade_password("ada", cheap, *better));
    EXPECT_EQ(directory->find("ada")->password, better->password);
    EXPECT_TRUE(directory->upgrade_password("nobody", cheap, *better));
}

TEST_F(DirectoryTest, RemoveTakesTheMailToo) {
    const auto account = *add("ada");
    ASSERT_EQ(store->mailboxes(account->id)->size(), 1u);
    ASSERT_TRUE(directory->remove("Ada"));
    EXPECT_EQ(directory->find("ada"), nullptr);
    EXPECT_EQ(directory->find(account->id), nullptr);
    EXPECT_THAT(*store->mailboxes(account->id), IsEmpty());
    EXPECT_EQ(stored(DirectoryKind::account, "ada"), "");
    expect_error(directory->remove("ada"), ErrorKind::not_found, "no account ada");
    const auto again = add("ada");
    ASSERT_TRUE(again);
    EXPECT_NE((*again)->id, account->id);
}

TEST_F(DirectoryTest, RemoveRefusesTheTargetOfAnAlias) {
    ASSERT_TRUE(add("ada"));
    ASSERT_TRUE(directory->put_alias({"boss", {"ada"}}));
    expect_error(directory->remove("ada"), ErrorKind::invalid, "pier alias remove boss");
    EXPECT_TRUE(directory->find("ada"));
}

// Every change of an operation fails in turn: what was refused is not there, now or after the next start, and
// what is there is whole.
TEST_F(DirectoryTest, AddThatFailsAtAnyPointLeavesNothingOrAWholeAccount) {
    for (const bool stays_failed : {false, true}) {
        for (int at = 1;; ++at) {
            disk->fail_change = disk->changes + at;
            disk->stays_failed = stays_failed;
            const bool added = add("ada").has_value();
            disk->fail_change = 0;
            EXPECT_EQ(directory->find("ada") != nullptr, added);
            reload();
            const auto account = directory->find("ada");
            if (added) {
                EXPECT_TRUE(account);
            }
            if (!stays_failed) {
                EXPECT_EQ(account != nullptr, added) << at;
            }
            if (account) {
                EXPECT_EQ(store->mailboxes(account->id)->size(), 1u);
            }
            if (account) {
                EXPECT_TRUE(directory->remove("ada"));
            }
            EXPECT_THAT(disk->mailboxes, IsEmpty());
            if (added) break;
            ASSERT_LT(at, 10);
        }
    }
}

TEST_F(DirectoryTest, RemoveThatFailsAtAnyPointIsFinishedLater) {
    for (int at = 1;; ++at) {
        for (const bool restart : {false, true}) {
            ASSERT_TRUE(add("ada"));
            disk->fail_change = disk->changes + at;
            const auto removed = directory->remove("ada");
            disk->fail_change = 0;
            if (removed) {
                ASSERT_EQ(at, 4) << "the mark, one mailbox, the record";
                return;
            }
            EXPECT_EQ(removed.error().kind, ErrorKind::io);
            EXPECT_EQ(directory->find("ada") != nullptr, at == 1) << "gone once the mark is durable";
            if (at > 1) {
                expect_error(add("ada"), ErrorKind::busy, "pier account remove ada");
            }
            if (restart) reload();
            if (directory->find("ada") || !restart) {
                EXPECT_TRUE(directory->remove("ada"));
            }
            EXPECT_EQ(directory->find("ada"), nullptr);
            EXPECT_THAT(disk->mailboxes, IsEmpty());
            EXPECT_EQ(stored(DirectoryKind::account, "ada"), "");
        }
    }
}

TEST_F(DirectoryTest, AFailedChangeIsNotSeen) {
    ASSERT_TRUE(add("ada"));
    AccountChange change;
    change.disabled = true;
    disk->fail_change = disk->changes + 1;
    expect_error(directory->change("ada", change), ErrorKind::io, "disk failed");
    EXPECT_FALSE(directory->find("ada")->disabled);
    disk->fail_change = disk->changes + 1;
    EXPECT_FALSE(directory->put_alias({"boss", {"ada"}}));
    EXPECT_THAT(directory->aliases(), IsEmpty());
    disk->fail_change = disk->changes + 1;
    EXPECT_FALSE(directory->put_domain({"example.net"}));
    EXPECT_EQ(directory->domains().size(), 1u);
}

TEST_F(DirectoryTest, ListenersHearOfEveryChangeAfterIt) {
    std::vector<std::string> heard;
    directory->on_change([&](std::string_view name) {
        heard.emplace_back(std::string(name) + (directory->find(name) ? "" : " gone"));
    });
    ASSERT_TRUE(add("ada"));
    ASSERT_TRUE(directory->change("ada", {}));
    ASSERT_TRUE(directory->upgrade_password("ada", cheap, *store_password("pencil")));
    ASSERT_TRUE(directory->remove("ada"));
    EXPECT_THAT(heard, ElementsAre("ada", "ada", "ada", "ada gone"));
}

TEST_F(DirectoryTest, TheSecretIsMadeOnce) {
    const std::string secret = directory->secret();
    EXPECT_EQ(secret.size(), 32u);
    reload();
    EXPECT_EQ(directory->secret(), secret);
}

TEST_F(DirectoryTest, ADamagedRecordStopsTheLoadAndIsNamed) {
    disk->records[{DirectoryKind::account, "eve"}] = {DirectoryKind::account, "eve", 99, "{\"v\":9}"};
    Directory other(*store);
    expect_error(other.load(), ErrorKind::corrupt, "account eve");
}

TEST_F(DirectoryTest, AnAccountLeftWithoutInboxGetsOne) {
    disk->records[{DirectoryKind::account, "eve"}] = {DirectoryKind::account, "eve", 99,
                                                      write_account(Account{}, Presence::living)};
    reload();
    const auto eve = directory->find("eve");
    ASSERT_TRUE(eve);
    EXPECT_NE(eve->inbox, store::MailboxId{});
    reload();
    EXPECT_EQ(directory->find("eve")->inbox, eve->inbox);
}

// ---- logins ----

TEST_F(DirectoryTest, ALoginMayNameOurDomainForABareAccount) {
    ASSERT_TRUE(add("ada"));
    ASSERT_TRUE(add("bob@example.org"));
    EXPECT_TRUE(directory->find_login("Ada"));
    EXPECT_EQ(directory->find_login("ada@Example.org")->name, "ada");
    EXPECT_EQ(directory->find_login("ada@example.net"), nullptr);
    EXPECT_EQ(directory->find_login("bob"), nullptr);
    EXPECT_EQ(directory->find_login("ada@"), nullptr);
    EXPECT_EQ(directory->find_login("@example.org"), nullptr);
    EXPECT_EQ(directory->find_login(std::string(100'000, 'x')), nullptr);
    EXPECT_EQ(directory->find("ada@example.org"), nullptr);
    ASSERT_TRUE(add("ada@example.org"));
    EXPECT_EQ(directory->find_login("ada@example.org")->name, "ada@example.org");
}

// ---- recipients ----

TEST_F(DirectoryTest, MailFindsItsAccount) {
    ASSERT_TRUE(directory->put_domain({"example.net"}));
    ASSERT_TRUE(add("ada"));
    ASSERT_TRUE(add("bob@example.org"));
    EXPECT_THAT(resolved("ada", ""), ElementsAre("ada"));
    EXPECT_THAT(resolved("ADA", "example.ORG"), ElementsAre("ada"));
    EXPECT_THAT(resolved("ada", "example.net"), ElementsAre("ada"));
    EXPECT_THAT(resolved("bob", "example.org"), ElementsAre("bob@example.org"));
    EXPECT_THAT(resolved("bob", "example.net"), ElementsAre("error: not_found"));
    EXPECT_THAT(resolved("bob", ""), ElementsAre("error: not_found"));
    expect_error(directory->resolve("ada", "example.com"), ErrorKind::not_found,
                 "does not receive mail for example.com");
    expect_error(directory->resolve("eve", "example.org"), ErrorKind::not_found,
                 "no mailbox eve@example.org here");
    ASSERT_TRUE(add("ada@example.net"));
    EXPECT_THAT(resolved("ada", "example.net"), ElementsAre("ada@example.net"));
}

TEST_F(DirectoryTest, MailToASubAddressFindsItsOwner) {
    ASSERT_TRUE(add("ada"));
    ASSERT_TRUE(add("bob+work@example.org"));
    ASSERT_TRUE(add("bob@example.org"));
    EXPECT_THAT(resolved("ada+lists", "example.org"), ElementsAre("ada"));
    EXPECT_THAT(resolved("ada+a+b", ""), ElementsAre("ada"));
    EXPECT_THAT(resolved("bob+work", "example.org"), ElementsAre("bob+work@example.org"));
    EXPECT_THAT(resolved("bob+home", "example.org"), ElementsAre("bob@example.org"));
    EXPECT_THAT(resolved("+ada", "example.org"), ElementsAre("error: not_found"));
}

TEST_F(DirectoryTest, AliasesLeadToAccountsOnceEach) {
    for (const char* name : {"ada", "bob", "cy"})
        ASSERT_TRUE(add(name));
    ASSERT_TRUE(directory->put_alias({"Team", {"ADA", "bob", "ada"}}));
    ASSERT_TRUE(directory->put_alias({"all@example.org", {"team", "cy", "bob"}}));
    EXPECT_THAT(directory->aliases()[1].targets, ElementsAre("ada", "bob"));
    for (int round = 0; round < 2; ++round) {
        EXPECT_THAT(resolved("team", "example.org"), ElementsAre("ada", "bob"));
        EXPECT_THAT(resolved("ALL", "example.org"), ElementsAre("ada", "bob", "cy"));
        EXPECT_THAT(resolved("all+x", "example.org"), ElementsAre("ada", "bob", "cy"));
        EXPECT_THAT(resolved("all", ""), ElementsAre("error: not_found"));
        reload();
    }
    ASSERT_TRUE(directory->put_alias({"team", {"cy"}}));
    EXPECT_THAT(resolved("team", ""), ElementsAre("cy"));
}

TEST_F(DirectoryTest, AWholeDomainMayLeadSomewhere) {
    ASSERT_TRUE(add("ada"));
    ASSERT_TRUE(add("bob@example.org"));
    ASSERT_TRUE(directory->put_alias({"@example.org", {"ada"}}));
    EXPECT_THAT(resolved("whoever", "example.org"), ElementsAre("ada"));
    EXPECT_THAT(resolved("bob", "example.org"), ElementsAre("bob@example.org"));
    EXPECT_THAT(resolved("bob+x", "example.org"), ElementsAre("bob@example.org"));
    EXPECT_THAT(resolved("whoever", ""), ElementsAre("error: not_found"));
}

TEST_F(DirectoryTest, PostmasterIsAppointed) {
    expect_error(directory->resolve("PostMaster", ""), ErrorKind::not_found, "pier alias add postmaster");
    expect_error(directory->resolve("postmaster", "example.org"), ErrorKind::not_found,
                 "pier alias add postmaster");
    ASSERT_TRUE(add("ada"));
    ASSERT_TRUE(directory->put_alias({"postmaster", {"ada"}}));
    EXPECT_THAT(resolved("POSTMASTER", ""), ElementsAre("ada"));
    EXPECT_THAT(resolved("Postmaster", "Example.org"), ElementsAre("ada"));
}

TEST_F(DirectoryTest, AliasesAreRefusedWithAReason) {
    ASSERT_TRUE(add("ada"));
    ASSERT_TRUE(directory->put_alias({"a", {"ada"}}));
    ASSERT_TRUE(directory->put_alias({"b", {"a"}}));
    ASSERT_TRUE(directory->put_alias({"c", {"b", "ada"}}));
    expect_error(directory->put_alias({"a", {"c"}}), ErrorKind::invalid, "leads back to a");
    expect_error(directory->put_alias({"a", {"a"}}), ErrorKind::invalid, "leads back to a");
    expect_error(directory->put_alias({"new", {"new"}}), ErrorKind::invalid, "leads back");
    expect_error(directory->put_alias({"x", {"nobody"}}), ErrorKind::not_found, "nobody is neither");
    expect_error(directory->put_alias({"x", {}}), ErrorKind::invalid, "no target");
    expect_error(directory->put_alias({"ada", {"a"}}), ErrorKind::exists, "is an account");
    expect_error(directory->put_alias({"x@example.net", {"a"}}), ErrorKind::not_found,
                 "pier domain add example.net");
    expect_error(directory->put_alias({"a/b", {"a"}}), ErrorKind::invalid, "'/'");
    expect_error(directory->remove_alias("a"), ErrorKind::invalid, "b leads to a");
    expect_error(directory->remove_alias("nothing"), ErrorKind::not_found, "no alias nothing");
    ASSERT_TRUE(directory->remove_alias("C"));
    ASSERT_TRUE(directory->remove_alias("b"));
    reload();
    EXPECT_EQ(directory->aliases().size(), 1u);
}

TEST_F(DirectoryTest, AnAliasHasAtMostAThousandTargets) {
    std::vector<std::string> targets;
    for (int i = 0; i < 1001; ++i)
        targets.push_back("n" + std::to_string(i));
    for (const auto& target : targets)
        disk->records[{DirectoryKind::account, target}] = {DirectoryKind::account, target, 0, ""};
    std::uint64_t id = 1000;
    for (auto& [key, record] : disk->records)
        if (key.first == DirectoryKind::account) {
            Account account;
            account.inbox = store::MailboxId{id};
            record.id = id++;
            record.value = write_account(account, Presence::living);
        }
    reload();
    expect_error(directory->put_alias({"all", targets}), ErrorKind::invalid, "at most 1000");
    for (const int count : {1000, 999}) {
        targets.resize(static_cast<std::size_t>(count));
        ASSERT_TRUE(directory->put_alias({"all", targets}));
        EXPECT_EQ(resolved("all", "").size(), static_cast<std::size_t>(count));
    }
}

// A loop that the directory would refuse, but finds on the disk.
TEST_F(DirectoryTest, AStoredAliasLoopEnds) {
    disk->records[{DirectoryKind::alias, "a"}] = {DirectoryKind::alias, "a", 901, write_alias({"b"})};
    disk->records[{DirectoryKind::alias, "b"}] = {DirectoryKind::alias, "b", 902, write_alias({"a", "gone"})};
    reload();
    expect_error(directory->resolve("a", ""), ErrorKind::not_found, "leads to no account");
}

TEST_F(DirectoryTest, StrangeRecipientsAreData) {
    ASSERT_TRUE(directory->put_domain({"example.net"}));
    ASSERT_TRUE(add("ada@example.org"));
    for (const std::string local : {"../x", "%u", "'", "*)(", "", "a\r\nb", "\xFF", "ada@example.org"}) {
        const auto found = directory->resolve(local, "example.net");
        ASSERT_FALSE(found) << local;
        EXPECT_EQ(found.error().kind, ErrorKind::not_found);
        EXPECT_EQ(found.error().text.find_first_of("\r\n\xFF"), std::string::npos)
            << "a reply would carry it";
    }
    EXPECT_FALSE(directory->resolve(std::string(65536, 'x'), "example.org"));
    expect_error(directory->resolve("ada", "exa\r\nmple"), ErrorKind::not_found, "no mailbox");
}

// ---- domains ----

TEST_F(DirectoryTest, DomainsComeAndGo) {
    EXPECT_FALSE(directory->put_domain({"exa mple"}));
    expect_error(directory->put_domain({"Example.org"}), ErrorKind::exists, "already");
    ASSERT_TRUE(directory->put_domain({"Example.net"}));
    reload();
    ASSERT_EQ(directory->domains().size(), 2u);
    EXPECT_EQ(directory->domains()[0].name, "example.net");
    ASSERT_TRUE(add("ada@example.net"));
    expect_error(directory->remove_domain("example.net"), ErrorKind::invalid, "ada@example.net");
    ASSERT_TRUE(directory->remove("ada@example.net"));
    ASSERT_TRUE(add("bob"));
    ASSERT_TRUE(directory->put_alias({"@example.net", {"bob"}}));
    expect_error(directory->remove_domain("example.net"), ErrorKind::invalid, "@example.net");
    ASSERT_TRUE(directory->remove_alias("@example.net"));
    ASSERT_TRUE(directory->remove_domain("EXAMPLE.net"));
    expect_error(directory->remove_domain("example.net"), ErrorKind::not_found, "no domain");
}

// ---- threads ----

TEST_F(DirectoryTest, ReadersAndWritersMeet) {
    ASSERT_TRUE(add("ada"));
    std::atomic<bool> stop = false;
    std::vector<std::jthread> readers;
    for (int i = 0; i < 3; ++i)
        readers.emplace_back([&] {
            while (!stop) {
                const auto account = directory->find("ada");
                ASSERT_TRUE(account);
                ASSERT_EQ(account->disabled, !account->disabled_text.empty()) << "a half change was seen";
                (void)directory->resolve("team", "example.org");
                (void)directory->accounts();
            }
        });
    std::vector<std::jthread> writers;
    for (int w = 0; w < 2; ++w)
        writers.emplace_back([&, w] {
            for (int i = 0; i < 200; ++i) {
                AccountChange change;
                change.disabled = i % 2 == 0;
                change.disabled_text = i % 2 == 0 ? "off" : "";
                ASSERT_TRUE(directory->change("ada", change));
                const std::string name = "u" + std::to_string(w) + "-" + std::to_string(i);
                ASSERT_TRUE(add(name));
                ASSERT_TRUE(directory->put_alias({"team", {name, "ada"}}));
                ASSERT_TRUE(directory->put_alias({"team", {"ada"}}));
                const auto removed = directory->remove(name);
                ASSERT_TRUE(removed) << removed.error().text;
            }
        });
    writers.clear();
    stop = true;
}

}  // namespace
}  // namespace pier::auth
