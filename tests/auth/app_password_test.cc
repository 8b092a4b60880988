#include "auth/app_password.h"

#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "auth/authenticator.h"
#include "auth/memory_store.h"
#include "auth/record.h"
#include "auth/totp.h"

namespace pier::auth {
namespace {

using std::chrono::days;
using std::chrono::hours;
using test::MemoryStore;
using testing::HasSubstr;

const IpAddress home = boost::asio::ip::make_address("192.0.2.1");
const LoginOrigin by_pop3{"pop3", home};

TEST(AppPassword, IsTwentyLettersInGroups) {
    const std::string one = make_app_password();
    EXPECT_THAT(one, testing::MatchesRegex("[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}"));
    EXPECT_EQ(one.find_first_of("lo"), std::string::npos);
    EXPECT_NE(one, make_app_password());
}

TEST(AppPassword, IsReadHoweverItIsTyped) {
    const auto hash = app_password_hash("abcd-efgh-ijkm-npqr-stuv");
    ASSERT_TRUE(hash);
    EXPECT_EQ(hash->size(), 32u);
    for (const auto typed : {"abcdefghijkmnpqrstuv", "ABCD EFGH IJKM NPQR STUV", " abcd--efghijkmnpqrstuv "})
        EXPECT_EQ(app_password_hash(typed), hash) << typed;
    EXPECT_NE(app_password_hash("abcd-efgh-ijkm-npqr-stuw"), hash);
    for (const auto other : {"", "pencil", "abcd-efgh-ijkm-npqr-stu", "abcd-efgh-ijkm-npqr-stuvw",
                             "abcd-efgh-ijkl-npqr-stuv", "abcd-efgh-ijkm-npqr-stu1", "abcd_efghijkmnpqrstuv"})
        EXPECT_FALSE(app_password_hash(other)) << other;
}

TEST(AppPassword, IsForSomePlacesAndForSomeTime) {
    const Time now{days(20000)};
    AppPassword one;
    EXPECT_EQ(app_password_refusal(one, by_pop3, now), "");
    one.until = now + hours(1);
    EXPECT_EQ(app_password_refusal(one, by_pop3, now + hours(1) - std::chrono::microseconds(1)), "");
    EXPECT_THAT(app_password_refusal(one, by_pop3, now + hours(1)), HasSubstr("expired"));
    one.protocols = {"imap"};
    EXPECT_THAT(app_password_refusal(one, by_pop3, now), HasSubstr("protocol"));
    one.protocols.emplace_back("pop3");
    EXPECT_EQ(app_password_refusal(one, by_pop3, now), "");
    one.networks = {*Network::parse("198.51.100.0/24")};
    EXPECT_THAT(app_password_refusal(one, by_pop3, now), HasSubstr("networks"));
    one.networks.push_back(*Network::parse("192.0.2.1"));
    EXPECT_EQ(app_password_refusal(one, by_pop3, now), "");
}

class AppPasswords : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(directory.load());
        ASSERT_TRUE(directory.add({.name = "ada", .password = "pencil"}));
        ASSERT_TRUE(directory.add({.name = "bob"}));
    }
    AppPassword make(const std::string& name, const std::string& password) const {
        AppPassword one;
        one.name = name;
        one.hash = *app_password_hash(password);
        one.created = now;
        return one;
    }
    std::string log_in(const std::string& user, const std::string& typed) {
        const auto verdict = authenticator->app_password("", user, typed, by_pop3);
        if (!verdict) return "none";
        if (const auto* account = std::get_if<AccountPtr>(&*verdict)) return (*account)->name;
        return std::string(std::get<Refused>(*verdict).text);
    }
    Verdict check(const std::string& password) {
        std::promise<Verdict> promise;
        authenticator->check_password("", "ada", password,
                                      [&](Verdict verdict) { promise.set_value(verdict); });
        return promise.get_future().get();
    }

    static constexpr const char* phone = "abcd-efgh-ijkm-npqr-stuv";
    Time now{days(20000)};
    MemoryStore store;
    Directory directory{store};
    std::unique_ptr<Authenticator> authenticator =
        std::make_unique<Authenticator>(directory, AuthLimits{}, [this] { return now; });
};

TEST_F(AppPasswords, LetTheirOwnerIn) {
    EXPECT_EQ(log_in("ada", phone), "none");
    ASSERT_TRUE(directory.add_app_password("Ada", make("phone", phone)));
    EXPECT_EQ(log_in("ada", phone), "ada");
    EXPECT_EQ(log_in("ADA", "abcdefghijkmnpqrstuv"), "ada");
    EXPECT_EQ(log_in("bob", phone), "none") << "somebody else's";
    EXPECT_EQ(log_in("ada", "pencil"), "none") << "the account's own goes another way";
    EXPECT_EQ(log_in("ada", "abcd-efgh-ijkm-npqr-stuw"), "none");
    EXPECT_EQ(std::get<AccountPtr>(check("pencil"))->name, "ada");

    ASSERT_TRUE(directory.remove_app_password("ada", "phone"));
    EXPECT_EQ(log_in("ada", phone), "none");
}

TEST_F(AppPasswords, AccountsWithoutAPasswordMayHaveSome) {
    ASSERT_TRUE(directory.add_app_password("bob", make("phone", phone)));
    EXPECT_EQ(log_in("bob", phone), "bob");
}

TEST_F(AppPasswords, OneThatIsNotForHereLooksWrong) {
    AppPassword one = make("phone", phone);
    one.until = now;
    ASSERT_TRUE(directory.add_app_password("ada", one));
    const auto verdict = authenticator->app_password("", "ada", phone, by_pop3);
    EXPECT_EQ(std::get<Refused>(*verdict).text, "Authentication failed");
    EXPECT_THAT(std::get<Refused>(*verdict).reason, HasSubstr("expired"));
}

TEST_F(AppPasswords, ADisabledAccountStaysOut) {
    ASSERT_TRUE(directory.add_app_password("ada", make("phone", phone)));
    AccountChange change;
    change.disabled = true;
    ASSERT_TRUE(directory.change("ada", change));
    EXPECT_EQ(log_in("ada", phone), "This account is disabled");
}

TEST_F(AppPasswords, TheAccountsOwnMayBeLeftOut) {
    ASSERT_TRUE(directory.add_app_password("ada", make("phone", phone)));
    check("pencil");
    AccountChange change;
    change.app_passwords_only = true;
    const auto keys = authenticator->scram_keys("ada", wire::ScramHash::sha256);
    ASSERT_TRUE(directory.change("ada", change));
    EXPECT_EQ(log_in("ada", phone), "ada");
    for (const auto& verdict : {check("pencil"), *authenticator->remembered("", "ada", "pencil"),
                                authenticator->proven("", "ada", keys)}) {
        EXPECT_EQ(std::get<Refused>(verdict).why, Refused::Why::credentials);
        EXPECT_THAT(std::get<Refused>(verdict).text, HasSubstr("Use an app password"));
    }
    EXPECT_EQ(std::get<Refused>(check("pencim")).text, "Authentication failed")
        << "who does not know the password learns nothing";
    EXPECT_NE(authenticator->scram_keys("ada", wire::ScramHash::sha256), keys);
}

TEST_F(AppPasswords, ASecondFactorLeavesOnlyThem) {
    ASSERT_TRUE(directory.add_app_password("ada", make("phone", phone)));
    const std::string secret(20, 's');
    ASSERT_TRUE(directory.begin_second_factor("ada", secret));
    EXPECT_TRUE(std::holds_alternative<AccountPtr>(check("pencil"))) << "it is not in force yet";
    const auto keys = authenticator->scram_keys("ada", wire::ScramHash::sha256);
    ASSERT_TRUE(directory.confirm_second_factor("ada", totp_code(secret, totp_step(now)), now));
    for (const auto& verdict : {check("pencil"), *authenticator->remembered("", "ada", "pencil"),
                                authenticator->proven("", "ada", keys)}) {
        EXPECT_THAT(std::get<Refused>(verdict).text, HasSubstr("Use an app password"));
        EXPECT_THAT(std::get<Refused>(verdict).reason, HasSubstr("second factor"));
    }
    EXPECT_NE(authenticator->scram_keys("ada", wire::ScramHash::sha256), keys);
    EXPECT_EQ(log_in("ada", phone), "ada");
}

TEST_F(AppPasswords, TheLastUseIsKeptToTheHour) {
    ASSERT_TRUE(directory.add_app_password("ada", make("phone", phone)));
    const auto used = [&] { return directory.find("ada")->app_passwords.at(0).used; };
    const auto log_in_and_wait = [&](Time wanted) {
        EXPECT_EQ(log_in("ada", phone), "ada");
        for (int i = 0; used() != wanted && i < 2000; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        EXPECT_EQ(used(), wanted);
    };
    const Time first = now;
    EXPECT_EQ(used(), Time());
    log_in_and_wait(first);
    now += hours(1) - std::chrono::microseconds(1);
    log_in_and_wait(first);
    now += std::chrono::microseconds(1);
    log_in_and_wait(now);
    Directory again(store);
    ASSERT_TRUE(again.load());
    EXPECT_EQ(again.find("ada")->app_passwords.at(0).used, now);
}

TEST_F(AppPasswords, AreCheckedWhenTheyAreMade) {
    ASSERT_TRUE(directory.add_app_password("ada", make("phone", phone)));
    EXPECT_EQ(directory.add_app_password("ada", make("phone", phone)).error().kind, ErrorKind::exists);
    EXPECT_EQ(directory.add_app_password("eve", make("phone", phone)).error().kind, ErrorKind::not_found);
    EXPECT_EQ(directory.remove_app_password("ada", "tablet").error().kind, ErrorKind::not_found);
    for (const auto& name : {std::string(), std::string(65, 'n'), std::string("a\nb"), std::string("\xFF")})
        EXPECT_EQ(directory.add_app_password("ada", make(name, phone)).error().kind, ErrorKind::invalid)
            << name;
    EXPECT_TRUE(directory.add_app_password("ada", make(std::string(64, 'n'), phone)));
    AppPassword odd = make("odd", phone);
    odd.protocols = {"gopher"};
    EXPECT_THAT(directory.add_app_password("ada", odd).error().text, HasSubstr("gopher"));
    for (std::size_t i = 2; i < app_passwords_max; ++i)
        ASSERT_TRUE(directory.add_app_password("ada", make(std::to_string(i), phone)));
    EXPECT_THAT(directory.add_app_password("ada", make("one more", phone)).error().text,
                HasSubstr("revoke one"));
}

TEST_F(AppPasswords, AreWrittenAndRead) {
    AppPassword one = make("phone", phone);
    one.protocols = {"pop3"};
    one.networks = {*Network::parse("192.0.2.0/24")};
    one.until = now + days(1);
    one.used = now + hours(1);
    Account account;
    account.app_passwords = {one, make("tablet", "abcd-efgh-ijkm-npqr-stuw")};
    account.app_passwords_only = true;
    account.master = true;
    const auto read = read_account(write_account(account, Presence::living));
    ASSERT_TRUE(read);
    ASSERT_EQ(read->account.app_passwords.size(), 2u);
    const AppPassword& back = read->account.app_passwords[0];
    EXPECT_EQ(back.name, "phone");
    EXPECT_EQ(back.hash, one.hash);
    EXPECT_EQ(back.protocols, one.protocols);
    EXPECT_EQ(back.networks, one.networks);
    EXPECT_EQ(back.until, one.until);
    EXPECT_EQ(back.created, one.created);
    EXPECT_EQ(back.used, one.used);
    EXPECT_EQ(read->account.app_passwords[1].until, Time());
    EXPECT_TRUE(read->account.app_passwords_only);
    EXPECT_TRUE(read->account.master);
    for (const auto bad :
         {R"({"v":1,"app_passwords":{}})", R"({"v":1,"app_passwords":[1]})",
          R"({"v":1,"app_passwords":[{}]})", R"({"v":1,"app_passwords":[{"name":"a","hash":"!"}]})"})
        EXPECT_FALSE(read_account(bad)) << bad;
}

}  // namespace
}  // namespace pier::auth
