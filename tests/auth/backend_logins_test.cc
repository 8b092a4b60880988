// Logins and recipients that back ends know: with back ends that say what the test wants.
#include <future>
#include <map>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "auth/authenticator.h"
#include "auth/memory_store.h"
#include "auth/record.h"

namespace pier::auth {
namespace {

using test::MemoryStore;
using testing::ElementsAre;
using testing::IsEmpty;

// One back end, "office", with names and passwords; `out`: it cannot be asked.
class Played : public Backends {
  public:
    void check(BackendQuestion question, Done done) override {
        asked.push_back(question);
        for (const std::string& name : question.names)
            if (const auto user = users.find(name); user != users.end() && !out)
                return done(denied                              ? BackendAnswer(BackendDenied{"expired"})
                            : user->second == question.password ? found(name)
                                                                : BackendWrong{});
        done(out ? BackendAnswer(BackendOutage{"out"}) : BackendUnknown{});
    }
    void find(BackendQuestion question, Done done) override {
        asked.push_back(question);
        for (const std::string& name : question.names)
            if (users.contains(name) && !out) return done(found(name));
        done(out ? BackendAnswer(BackendOutage{"out"}) : BackendUnknown{});
    }
    bool remembers(const Account& account, std::string_view password) override {
        return remembered == account.name + ":" + std::string(password);
    }
    void forget(std::string_view) override {}

    BackendAnswer found(const std::string& name) const {
        BackendUser user = said;
        user.backend = "office";
        if (user.name.empty()) user.name = name;
        return user;
    }

    std::map<std::string, std::string> users;
    BackendUser said{};
    bool out = false, denied = false;
    std::string remembered;
    std::vector<BackendQuestion> asked;
};

class BackendLogins : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(directory.load());
        ASSERT_TRUE(directory.put_domain({"example.org"}));
        ASSERT_TRUE(directory.add({.name = "root", .password = "toor"}));
        AccountChange change;
        change.master = true;
        ASSERT_TRUE(directory.change("root", change));
        authenticator = std::make_unique<Authenticator>(directory, AuthLimits{}, system_now, &backends);
        backends.users = {{"ada", "pencil"}, {"root", "elsewhere"}, {"grace@example.org", "compiler"}};
    }
    Verdict check(const std::string& user, const std::string& password, const std::string& authzid = "") {
        std::promise<Verdict> promise;
        authenticator->check_password(authzid, user, password,
                                      [&](Verdict verdict) { promise.set_value(std::move(verdict)); });
        return promise.get_future().get();
    }
    std::string login(const std::string& user, const std::string& password, const std::string& authzid = "") {
        const Verdict verdict = check(user, password, authzid);
        if (const auto* account = std::get_if<AccountPtr>(&verdict)) return (*account)->name;
        switch (std::get<Refused>(verdict).why) {
            case Refused::Why::credentials:
                return "credentials";
            case Refused::Why::disabled:
                return "disabled";
            case Refused::Why::outage:
                return "outage";
            default:
                return "other";
        }
    }
    std::vector<std::string> recipients(const std::string& local, const std::string& domain = "example.org") {
        std::promise<Result<Recipients>> promise;
        authenticator->find_recipients(local, domain,
                                       [&](auto found) { promise.set_value(std::move(found)); });
        const auto found = promise.get_future().get();
        if (!found) return {std::string(to_string(found.error().kind))};
        std::vector<std::string> names;
        for (const auto& account : found->accounts)
            names.push_back(account->name);
        return names;
    }

    MemoryStore store;
    Directory directory{store};
    Played backends;
    std::unique_ptr<Authenticator> authenticator;
};

TEST_F(BackendLogins, WhoIsKnownElsewhereGetsAnAccount) {
    backends.said.quota_octets = 77;
    backends.said.allow = Networks{*Network::parse("192.0.2.0/24")};
    EXPECT_EQ(login("Ada", "pencil"), "ada");
    const AccountPtr account = directory.find("ada");
    ASSERT_TRUE(account);
    EXPECT_EQ(account->backend, "office");
    EXPECT_EQ(account->password, "");
    EXPECT_EQ(account->quota_octets, 77U);
    EXPECT_EQ(account->networks.allow.size(), 1U);
    EXPECT_NE(account->inbox, store::MailboxId{});
    const auto again = read_account(write_account(*account, Presence::living));
    EXPECT_EQ(again->account.backend, "office");

    backends.said.quota_octets = 78;  // brought up to date
    backends.said.allow.reset();      // nothing is said: it stays
    EXPECT_EQ(login("ada@example.org", "pencil"), "ada");
    EXPECT_EQ(directory.find("ada")->quota_octets, 78U);
    EXPECT_EQ(directory.find("ada")->networks.allow.size(), 1U);
    EXPECT_EQ(directory.find("ada")->id, account->id);
}

TEST_F(BackendLogins, AWrongPasswordAndAnUnknownUserLookAlike) {
    EXPECT_EQ(login("ada", "pencim"), "credentials");
    EXPECT_EQ(login("eve", "pencil"), "credentials");
    EXPECT_EQ(std::get<Refused>(check("ada", "x")).text, std::get<Refused>(check("eve", "x")).text);
    EXPECT_FALSE(directory.find("ada"));
    EXPECT_FALSE(directory.find("eve"));
}

TEST_F(BackendLogins, BuiltInAccountsAreNeverAskedElsewhere) {
    EXPECT_EQ(login("root", "toor"), "root");
    EXPECT_EQ(login("root", "elsewhere"), "credentials");
    EXPECT_EQ(login("root@example.org", "elsewhere"), "credentials");
    EXPECT_THAT(backends.asked, IsEmpty());
}

TEST_F(BackendLogins, NeitherAreNamesThatNoAccountCouldHave) {
    for (const char* name : {"", "a b", "../x", "*)(uid=*", "ada@elsewhere.example", "a\"b", "\xFF", "ada@"})
        EXPECT_EQ(login(name, "pencil"), "credentials") << name;
    EXPECT_THAT(backends.asked, IsEmpty());
}

TEST_F(BackendLogins, AnOutageIsNoWrongPassword) {
    backends.out = true;
    EXPECT_EQ(login("ada", "pencil"), "outage");
    EXPECT_EQ(login("eve", "pencil"), "outage");
    EXPECT_EQ(login("root", "toor"), "root");
    EXPECT_THAT(recipients("ada"), ElementsAre("busy"));
}

TEST_F(BackendLogins, WhoIsDeniedIsDisabled) {
    backends.denied = true;
    EXPECT_EQ(login("ada", "pencil"), "disabled");
    EXPECT_FALSE(directory.find("ada"));
}

TEST_F(BackendLogins, TheAdministratorMayDisableAnAccountOfABackEnd) {
    EXPECT_EQ(login("ada", "pencil"), "ada");
    AccountChange change;
    change.disabled = true;
    ASSERT_TRUE(directory.change("ada", change));
    EXPECT_EQ(login("ada", "pencil"), "disabled");
    EXPECT_EQ(login("ada", "x"), "credentials");
}

TEST_F(BackendLogins, ItsPasswordsAreKeptElsewhere) {
    EXPECT_EQ(login("ada", "pencil"), "ada");
    AccountChange change;
    change.password = "mine";
    EXPECT_FALSE(directory.change("ada", change));
    AppPassword phone;
    phone.name = "phone";
    phone.hash = std::string(32, 'h');
    EXPECT_FALSE(directory.add_app_password("ada", phone));
    change = {};
    change.app_passwords_only = true;
    EXPECT_FALSE(directory.change("ada", change));
    EXPECT_FALSE(directory.begin_second_factor("ada", std::string(20, 's')));
}

TEST_F(BackendLogins, AnAccountIsAskedOfItsOwnBackEnd) {
    EXPECT_EQ(login("ada", "pencil"), "ada");
    EXPECT_EQ(backends.asked.back().backend, "");
    EXPECT_EQ(login("ada@example.org", "pencil"), "ada");
    EXPECT_EQ(backends.asked.back().backend, "office");
    EXPECT_THAT(backends.asked.back().names, ElementsAre("ada@example.org", "ada"));
}

TEST_F(BackendLogins, ABackEndCannotTakeOverAnAccount) {
    backends.said.name = "root";
    EXPECT_EQ(login("ada", "pencil"), "outage");
    EXPECT_EQ(directory.find("root")->backend, "");
    ASSERT_TRUE(directory.adopt({.backend = "other", .name = "linus"}));
    backends.said.name = "linus";
    EXPECT_EQ(login("ada", "pencil"), "outage");
    EXPECT_EQ(directory.find("linus")->backend, "other");
    ASSERT_TRUE(directory.put_alias({"postmaster", {"root"}}));
    backends.said.name = "postmaster";
    EXPECT_EQ(login("ada", "pencil"), "outage");
}

TEST_F(BackendLogins, ItGivesNoAccountInADomainThatIsNotOurs) {
    backends.said.name = "ada@elsewhere.example";
    EXPECT_EQ(login("ada", "pencil"), "outage");
    backends.said.name = "not a name";
    EXPECT_EQ(login("ada", "pencil"), "outage");
}

TEST_F(BackendLogins, AUserWhoIsGoneElsewhereKeepsHisMailAndMayNotLogIn) {
    EXPECT_EQ(login("ada", "pencil"), "ada");
    backends.users.erase("ada");
    EXPECT_EQ(login("ada", "pencil"), "credentials");
    EXPECT_TRUE(directory.find("ada"));
    EXPECT_THAT(recipients("ada"), ElementsAre("not_found"));
}

TEST_F(BackendLogins, APasswordThatIsRememberedNeedsNoQuestion) {
    EXPECT_EQ(login("ada", "pencil"), "ada");
    EXPECT_FALSE(authenticator->remembered("", "ada", "pencil"));
    backends.remembered = "ada:pencil";
    const auto verdict = authenticator->remembered("", "ada@example.org", "pencil");
    ASSERT_TRUE(verdict);
    EXPECT_EQ(std::get<AccountPtr>(*verdict)->name, "ada");
    EXPECT_FALSE(authenticator->remembered("", "ada", "x"));
}

TEST_F(BackendLogins, AMasterLogsInAsAUserOfABackEnd) {
    EXPECT_EQ(login("root", "toor", "ada"), "ada");  // who was never here
    EXPECT_EQ(login("root", "toor", "eve"), "credentials");
    backends.out = true;
    EXPECT_EQ(login("root", "toor", "ada"), "ada");
    EXPECT_EQ(login("root", "toor", "grace@example.org"), "outage");
    backends.out = false;
    EXPECT_EQ(login("ada", "pencil", "grace@example.org"), "credentials") << "she is no master";
}

TEST_F(BackendLogins, RecipientsThatWereNeverHere) {
    EXPECT_THAT(recipients("ada"), ElementsAre("ada"));
    EXPECT_THAT(recipients("ada+lists"), ElementsAre("ada"));
    EXPECT_THAT(recipients("grace"), ElementsAre("grace@example.org"));
    EXPECT_THAT(recipients("eve"), ElementsAre("not_found"));
    EXPECT_THAT(recipients("ada", "elsewhere.example"), ElementsAre("not_found"));
    EXPECT_EQ(directory.find("ada")->backend, "office");
}

TEST_F(BackendLogins, AliasesComeFirstAndACatchAllLast) {
    ASSERT_TRUE(directory.put_alias({"sales", {"root"}}));
    ASSERT_TRUE(directory.put_alias({"@example.org", {"root"}}));
    backends.users["sales"] = "x";
    EXPECT_THAT(recipients("sales"), ElementsAre("root"));
    EXPECT_THAT(backends.asked, IsEmpty());
    EXPECT_THAT(recipients("ada"), ElementsAre("ada"));
    EXPECT_THAT(recipients("eve"), ElementsAre("root"));
    backends.out = true;
    EXPECT_THAT(recipients("who"), ElementsAre("busy"));
    EXPECT_THAT(recipients("ada"), ElementsAre("ada")) << "the mailbox is there";
}

TEST_F(BackendLogins, ScramKeysAreMadeUpForThem) {
    EXPECT_EQ(login("ada", "pencil"), "ada");
    const auto keys = authenticator->scram_keys("ada", wire::ScramHash::sha256);
    EXPECT_EQ(keys.iterations, scram_iterations);
    EXPECT_EQ(std::get<Refused>(authenticator->proven("", "ada", keys)).why, Refused::Why::credentials);
}

// A login that asks for the same account at the same time must not fail because another was first.
TEST_F(BackendLogins, TwoFirstLoginsAtOnce) {
    std::vector<std::thread> threads;
    std::vector<std::string> names(8);
    for (std::string& name : names)
        threads.emplace_back([this, &name] {
            const auto adopted = directory.adopt({.backend = "office", .name = "ada"});
            name = adopted ? (*adopted)->name : adopted.error().text;
        });
    for (auto& thread : threads)
        thread.join();
    EXPECT_THAT(names, testing::Each("ada"));
}

}  // namespace
}  // namespace pier::auth
