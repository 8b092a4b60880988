#include "auth/authenticator.h"

#include <chrono>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "auth/memory_store.h"
#include "auth/name.h"
#include "auth/remembered.h"
#include "wire/scram.h"

namespace pier::auth {
namespace {

using test::MemoryStore;
using testing::HasSubstr;

constexpr const char* sha_of_pencil = "{SHA}0vxRJJChUDZGC1SJQBQ51tpUB/o=";

class AuthenticatorTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(directory.load());
        ASSERT_TRUE(directory.put_domain({"example.org"}));
        ASSERT_TRUE(directory.add({.name = "ada", .password = "pencil"}));
        ASSERT_TRUE(directory.add({.name = "old", .password_scheme = sha_of_pencil}));
        ASSERT_TRUE(directory.add({.name = "none"}));
    }
    Verdict check(const std::string& user, const std::string& password, const std::string& authzid = "") {
        std::promise<Verdict> promise;
        authenticator->check_password(authzid, user, password,
                                      [&](Verdict verdict) { promise.set_value(std::move(verdict)); });
        return promise.get_future().get();
    }
    void finish() { authenticator.reset(); }  // waits for what goes on behind the answers

    MemoryStore store;
    Directory directory{store};
    std::unique_ptr<Authenticator> authenticator = std::make_unique<Authenticator>(directory, AuthLimits{});
};

std::string name_of(const Verdict& verdict) {
    const auto* account = std::get_if<AccountPtr>(&verdict);
    return account ? (*account)->name : "refused: " + std::get<Refused>(verdict).text;
}

TEST_F(AuthenticatorTest, TheRightPasswordEnters) {
    EXPECT_EQ(name_of(check("ada", "pencil")), "ada");
    EXPECT_EQ(name_of(check("ADA", "pencil")), "ada");
    EXPECT_EQ(name_of(check("ada@example.org", "pencil")), "ada");
    EXPECT_EQ(name_of(check("ada", "pencil", "Ada")), "ada");
    EXPECT_EQ(name_of(check("Ada@example.org", "pencil", "ada@EXAMPLE.org")), "ada");
}

TEST_F(AuthenticatorTest, EverythingElseGetsTheSameText) {
    for (const auto& [user, password, authzid] : std::initializer_list<std::array<std::string, 3>>{
             {"ada", "pencim", ""},
             {"ada", "", ""},
             {"eve", "pencil", ""},
             {"", "pencil", ""},
             {"none", "", ""},
             {"none", "x", ""},
             {"old", "pencim", ""},
             {"ada", "pencil", "old"},
             {"ada", "pencil", "root"},
             {"../x", "x", ""},
             {"%u", "x", ""},
             {"'", "x", ""},
             {"*)(", "x", ""},
             {"\"\"@x", "x", ""},
             {"\xFF", "\xFF", ""},
             {std::string(65536, 'u'), std::string(65536, 'p'), ""}}) {
        const auto verdict = check(user, password, authzid);
        ASSERT_TRUE(std::holds_alternative<Refused>(verdict)) << user;
        EXPECT_EQ(std::get<Refused>(verdict).why, Refused::Why::credentials);
        EXPECT_EQ(std::get<Refused>(verdict).text, "Authentication failed");
    }
}

// Attack: names that exist are found by the time an answer takes. The fastest of five stands for the cost;
// the bound is wide, because a missing dummy hash makes a factor of a hundred.
TEST_F(AuthenticatorTest, UnknownAndKnownNamesCostTheSame) {
    ASSERT_TRUE(directory.add({.name = "old2", .password_scheme = sha_of_pencil}));
    const auto fastest = [&](const std::string& user) {
        auto best = std::chrono::steady_clock::duration::max();
        for (int i = 0; i < 5; ++i) {
            const auto start = std::chrono::steady_clock::now();
            check(user, "wrong");
            best = std::min(best, std::chrono::steady_clock::now() - start);
        }
        return std::chrono::duration<double>(best).count();
    };
    const double known = fastest("ada");
    for (const char* name : {"eve", "old2", "none"}) {
        const double other = fastest(name);
        EXPECT_GT(other, known / 4) << name;
        EXPECT_LT(other, known * 4) << name;
    }
}

TEST_F(AuthenticatorTest, ADisabledAccountIsToldOnlyToItsOwner) {
    AccountChange change;
    change.disabled = true;
    change.disabled_text = "bill unpaid";
    ASSERT_TRUE(directory.change("ada", change));
    const auto right = std::get<Refused>(check("ada", "pencil"));
    EXPECT_EQ(right.why, Refused::Why::disabled);
    EXPECT_THAT(right.detail, HasSubstr("bill unpaid"));
    EXPECT_EQ(std::get<Refused>(check("ada", "pencim")).why, Refused::Why::credentials);
    EXPECT_EQ(std::get<Refused>(authenticator->proven("", "ada", *directory.find("ada")->scram_sha1)).why,
              Refused::Why::disabled);
    change.disabled = false;
    ASSERT_TRUE(directory.change("ada", change));
    EXPECT_EQ(name_of(check("ada", "pencil")), "ada");
}

TEST_F(AuthenticatorTest, AMasterLogsInAsOthers) {
    ASSERT_TRUE(directory.add({.name = "root", .password = "keyring"}));
    const auto reason = [](const Verdict& verdict) { return std::get<Refused>(verdict).reason; };
    EXPECT_EQ(reason(check("root", "keyring", "ada")), "only a master user may log in as another");
    AccountChange change;
    change.master = true;
    ASSERT_TRUE(directory.change("root", change));
    EXPECT_EQ(name_of(check("root", "keyring", "ada")), "ada");
    EXPECT_EQ(name_of(check("root", "keyring", "Ada@example.org")), "ada");
    EXPECT_EQ(name_of(check("root", "keyring")), "root");
    EXPECT_EQ(name_of(check("root", "pencil", "ada")), "refused: Authentication failed") << "ada's password";
    EXPECT_EQ(reason(check("root", "keyring", "eve")),
              "a master user asked for an account that does not exist");
    EXPECT_EQ(name_of(*authenticator->remembered("ada", "root", "keyring")), "ada");
    const auto keys = *directory.find("root")->scram_sha256;
    EXPECT_EQ(name_of(authenticator->proven("ada", "root", keys)), "ada");

    change = {};
    change.disabled = true;
    ASSERT_TRUE(directory.change("ada", change));
    EXPECT_EQ(name_of(check("root", "keyring", "ada")), "ada") << "an administrator may look into it";
    ASSERT_TRUE(directory.change("root", change));
    EXPECT_EQ(std::get<Refused>(check("root", "keyring", "ada")).why, Refused::Why::disabled);
}

TEST_F(AuthenticatorTest, AChangedPasswordCountsAtOnce) {
    AccountChange change;
    change.password = "crayon";
    ASSERT_TRUE(directory.change("ada", change));
    EXPECT_THAT(name_of(check("ada", "pencil")), HasSubstr("refused"));
    EXPECT_EQ(name_of(check("ada", "crayon")), "ada");
    ASSERT_TRUE(directory.remove("ada"));
    EXPECT_THAT(name_of(check("ada", "crayon")), HasSubstr("refused"));
}

TEST_F(AuthenticatorTest, AnImportedHashIsReplacedAtTheFirstLogin) {
    EXPECT_EQ(name_of(check("old", "wrong")), "refused: Authentication failed");
    EXPECT_EQ(name_of(check("old", "pencil")), "old");
    finish();
    const auto account = directory.find("old");
    EXPECT_TRUE(is_current_password(account->password));
    EXPECT_TRUE(password_matches(account->password, "pencil"));
    EXPECT_TRUE(account->scram_sha1 && account->scram_sha256);
}

TEST_F(AuthenticatorTest, AFailedReplacementDoesNotHurtTheLogin) {
    store.disk().fail_change = store.disk().changes + 1;
    EXPECT_EQ(name_of(check("old", "pencil")), "old");
    finish();
    EXPECT_EQ(directory.find("old")->password, sha_of_pencil);
}

TEST_F(AuthenticatorTest, ManyFirstLoginsAtOnceAllEnter) {
    std::vector<std::promise<Verdict>> verdicts(8);
    for (auto& verdict : verdicts)
        authenticator->check_password("", "old", "pencil",
                                      [&](Verdict v) { verdict.set_value(std::move(v)); });
    for (auto& verdict : verdicts)
        EXPECT_EQ(name_of(verdict.get_future().get()), "old");
}

TEST_F(AuthenticatorTest, MoreThanMayWaitAreAnsweredBusy) {
    for (const std::size_t waiting_max : {0u, 1u, 2u}) {
        std::promise<void> held, go;
        std::atomic<int> answered = 0;
        std::optional<Verdict> refused;
        // The last: it waits for the checks under way, which use all of the above.
        Authenticator small(directory, {.threads = 1, .waiting_max = waiting_max});
        // The only thread is held in a `done`, so that everything behind it waits.
        if (waiting_max > 0) {
            small.check_password("", "old", "wrong", [&](const Verdict&) {
                held.set_value();
                go.get_future().wait();
            });
            held.get_future().wait();
        }
        const auto count = [&](const Verdict&) { ++answered; };
        for (std::size_t i = 0; i < waiting_max; ++i)
            small.check_password("", "old", "wrong", count);
        EXPECT_EQ(answered, 0);
        small.check_password("", "old", "wrong", [&](Verdict verdict) { refused = std::move(verdict); });
        EXPECT_TRUE(refused && std::get<Refused>(*refused).why == Refused::Why::busy) << "at " << waiting_max;
        go.set_value();
    }
}

TEST_F(AuthenticatorTest, EveryCheckIsAnsweredOnceWhenTheServerStops) {
    std::atomic<int> answered = 0, busy = 0;
    for (int i = 0; i < 50; ++i)
        authenticator->check_password("", "ada", "pencil", [&](const Verdict& verdict) {
            ++answered;
            if (const auto* refused = std::get_if<Refused>(&verdict)) {
                EXPECT_EQ(refused->why, Refused::Why::busy);
                ++busy;
            }
        });
    finish();
    EXPECT_EQ(answered, 50);
    EXPECT_GT(busy, 0);
}

// ---- remembered passwords ----

TEST_F(AuthenticatorTest, ACheckedPasswordIsRememberedAndNoOther) {
    EXPECT_FALSE(authenticator->remembered("", "ada", "pencil"));
    check("ada", "pencim");
    EXPECT_FALSE(authenticator->remembered("", "ada", "pencim"));
    check("ada", "pencil");
    for (const char* name : {"ada", "ADA", "ada@example.org"})
        EXPECT_EQ(name_of(authenticator->remembered("", name, "pencil").value()), "ada") << name;
    for (const char* password : {"pencim", "pencil ", "penci", "", "PENCIL"})
        EXPECT_FALSE(authenticator->remembered("", "ada", password)) << password;
    EXPECT_FALSE(authenticator->remembered("", "old", "pencil"));
    EXPECT_FALSE(authenticator->remembered("", "eve", "pencil"));
    EXPECT_FALSE(authenticator->remembered("", "none", ""));
    const auto counts = authenticator->counts();
    EXPECT_EQ(counts.checked, 2u);
    EXPECT_EQ(counts.remembered, 3u);
}

TEST_F(AuthenticatorTest, RememberingDoesNotChangeWhoMayEnter) {
    check("ada", "pencil");
    EXPECT_EQ(std::get<Refused>(authenticator->remembered("old", "ada", "pencil").value()).why,
              Refused::Why::credentials);
    AccountChange change;
    change.disabled = true;
    ASSERT_TRUE(directory.change("ada", change));
    EXPECT_EQ(std::get<Refused>(authenticator->remembered("", "ada", "pencil").value()).why,
              Refused::Why::disabled);
}

TEST_F(AuthenticatorTest, AChangedPasswordIsForgottenInThatMoment) {
    check("ada", "pencil");
    AccountChange change;
    change.password = "crayon";
    ASSERT_TRUE(directory.change("ada", change));
    EXPECT_FALSE(authenticator->remembered("", "ada", "pencil"));
    change.password = "pencil";  // the same words, but salted anew: checked anew
    ASSERT_TRUE(directory.change("ada", change));
    EXPECT_FALSE(authenticator->remembered("", "ada", "pencil"));
    check("ada", "pencil");
    ASSERT_TRUE(directory.remove("ada"));
    EXPECT_FALSE(authenticator->remembered("", "ada", "pencil"));
    ASSERT_TRUE(directory.add({.name = "ada", .password = "pencil"}));
    EXPECT_FALSE(authenticator->remembered("", "ada", "pencil"));
}

TEST_F(AuthenticatorTest, RememberedPasswordsAreBounded) {
    for (const std::string name : {"a", "b", "c"})
        ASSERT_TRUE(directory.add({.name = name, .password_scheme = sha_of_pencil}));
    for (const std::size_t most : {0u, 1u, 2u, 3u}) {
        RememberedPasswords passwords(most);
        for (const char* name : {"a", "b", "c"}) {
            passwords.remember(*directory.find(name), "pencil");
            passwords.remember(*directory.find(name), "pencil");
            // The one that is in use stays, if there is room for two.
            EXPECT_EQ(passwords.knows(*directory.find("a"), "pencil"),
                      most >= 2 || (most == 1 && *name == 'a'))
                << most << name;
        }
        EXPECT_EQ(passwords.knows(*directory.find("b"), "pencil"), most >= 3) << most;
        EXPECT_EQ(passwords.knows(*directory.find("c"), "pencil"), most >= 1) << most;
    }
}

// ---- SCRAM ----

std::string proof_for(const wire::ScramKeys& keys, wire::ScramHash hash, std::string_view password) {
    const auto own = wire::derive_scram_keys(hash, password, keys.salt, keys.iterations);
    return own.stored_key == keys.stored_key && own.server_key == keys.server_key ? "same" : "different";
}

TEST_F(AuthenticatorTest, ScramKeysAreTheUsersOwn) {
    for (const auto hash : {wire::ScramHash::sha1, wire::ScramHash::sha256}) {
        EXPECT_EQ(proof_for(authenticator->scram_keys("ADA", hash), hash, "pencil"), "same");
        EXPECT_EQ(proof_for(authenticator->scram_keys("ada@example.org", hash), hash, "pencil"), "same");
        EXPECT_EQ(proof_for(authenticator->scram_keys("ada", hash), hash, "pencim"), "different");
    }
    const auto keys = authenticator->scram_keys("ada", wire::ScramHash::sha256);
    EXPECT_EQ(name_of(authenticator->proven("", "ada", keys)), "ada");
    EXPECT_EQ(name_of(authenticator->proven("ADA", "ada@example.org", keys)), "ada");
    EXPECT_EQ(std::get<Refused>(authenticator->proven("old", "ada", keys)).why, Refused::Why::credentials);
    EXPECT_EQ(std::get<Refused>(authenticator->proven("", "eve", keys)).why, Refused::Why::credentials);
}

TEST_F(AuthenticatorTest, AScramExchangeThatOutlivesThePasswordIsRefused) {
    for (const auto hash : {wire::ScramHash::sha1, wire::ScramHash::sha256}) {
        const auto before = authenticator->scram_keys("ada", hash);
        AccountChange change;
        change.password = "another pencil";
        ASSERT_TRUE(directory.change("ada", change));
        EXPECT_EQ(std::get<Refused>(authenticator->proven("", "ada", before)).why, Refused::Why::credentials);
        EXPECT_EQ(name_of(authenticator->proven("", "ada", authenticator->scram_keys("ada", hash))), "ada");
        const auto made_up = authenticator->scram_keys("old", hash);
        EXPECT_EQ(std::get<Refused>(authenticator->proven("", "old", made_up)).why,
                  Refused::Why::credentials);
    }
}

TEST_F(AuthenticatorTest, MadeUpKeysLookRealAndStayTheSame) {
    const auto real = authenticator->scram_keys("ada", wire::ScramHash::sha256);
    AccountChange change;
    change.disabled = true;
    ASSERT_TRUE(directory.change("ada", change));
    for (const std::string name : {"eve", "old", "none", "ada", "", "\xFF"}) {
        for (const auto hash : {wire::ScramHash::sha1, wire::ScramHash::sha256}) {
            const auto keys = authenticator->scram_keys(name, hash);
            const auto again = authenticator->scram_keys(fold_name(name), hash);
            EXPECT_EQ(keys.salt, again.salt);
            EXPECT_EQ(keys.stored_key, again.stored_key);
            EXPECT_EQ(keys.server_key, again.server_key);
            EXPECT_EQ(keys.salt.size(), real.salt.size());
            EXPECT_EQ(keys.iterations, real.iterations);
            EXPECT_EQ(keys.stored_key.size(), wire::hash_octets(hash));
            EXPECT_EQ(keys.server_key.size(), wire::hash_octets(hash));
            EXPECT_NE(keys.stored_key, keys.server_key);
            EXPECT_NE(keys.salt, authenticator->scram_keys(name + "x", hash).salt);
        }
    }
    // Another server makes up others: they follow from its secret, not from the name.
    MemoryStore other_store;
    Directory other_directory(other_store);
    ASSERT_TRUE(other_directory.load());
    const Authenticator other(other_directory, AuthLimits{});
    EXPECT_NE(other.scram_keys("eve", wire::ScramHash::sha1).salt,
              authenticator->scram_keys("eve", wire::ScramHash::sha1).salt);
}

TEST_F(AuthenticatorTest, ChecksAndChangesMeet) {
    std::atomic<int> entered = 0, answered = 0;
    for (int i = 0; i < 40; ++i)
        authenticator->check_password("", i % 2 == 0 ? "old" : "ada", "pencil", [&](const Verdict& verdict) {
            ++answered;
            if (std::holds_alternative<AccountPtr>(verdict)) ++entered;
        });
    for (int i = 0; i < 40; ++i) {
        AccountChange change;
        change.quota_octets = i;
        ASSERT_TRUE(directory.change("ada", change));
        ASSERT_TRUE(directory.change("old", change));
        (void)authenticator->scram_keys("old", wire::ScramHash::sha1);
    }
    while (answered < 40)
        std::this_thread::yield();
    EXPECT_EQ(entered, 40);
    finish();
    EXPECT_EQ(directory.find("old")->quota_octets, 39u) << "an upgrade undid a change";
}

}  // namespace
}  // namespace pier::auth
