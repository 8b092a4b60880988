#include "auth/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pier::auth {
namespace {

using testing::HasSubstr;

Account full_account() {
    Account account;
    account.password = "{SSHA}x\"\\y";
    account.scram_sha1 = wire::ScramKeys{
        .salt = std::string("\0\xFF", 2), .iterations = 7, .stored_key = "s", .server_key = "v"};
    account.scram_sha256 =
        wire::ScramKeys{.salt = "b", .iterations = 4294967295, .stored_key = "t", .server_key = "w"};
    account.inbox = store::MailboxId{18446744073709551615u};
    account.quota_octets = 18446744073709551614u;
    account.disabled = true;
    account.disabled_text = "gel\xC3\xB6scht";
    account.exclusive = true;
    account.created = Time(std::chrono::microseconds(1795300706123456));
    return account;
}

TEST(AccountRecords, ComeBackAsTheyWere) {
    const Account account = full_account();
    const auto read = read_account(write_account(account, Presence::being_removed));
    ASSERT_TRUE(read) << read.error().text;
    const Account& back = read->account;
    EXPECT_EQ(read->presence, Presence::being_removed);
    EXPECT_EQ(back.password, account.password);
    EXPECT_EQ(back.scram_sha1->salt, account.scram_sha1->salt);
    EXPECT_EQ(back.scram_sha1->iterations, 7u);
    EXPECT_EQ(back.scram_sha1->stored_key, "s");
    EXPECT_EQ(back.scram_sha1->server_key, "v");
    EXPECT_EQ(back.scram_sha256->iterations, 4294967295u);
    EXPECT_EQ(back.inbox, account.inbox);
    EXPECT_EQ(back.quota_octets, account.quota_octets);
    EXPECT_TRUE(back.disabled);
    EXPECT_EQ(back.disabled_text, account.disabled_text);
    EXPECT_TRUE(back.exclusive);
    EXPECT_EQ(back.created, account.created);
}

TEST(AccountRecords, OfAnEmptyAccountAreSmall) {
    const auto read = read_account(write_account(Account{}, Presence::living));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->presence, Presence::living);
    EXPECT_EQ(read->account.scram_sha1, std::nullopt);
    EXPECT_FALSE(read->account.disabled);
    EXPECT_EQ(write_account(Account{}, Presence::living), R"({"v":1,"created":0,"inbox":0,"password":""})");
}

TEST(Records, ThatAreDamagedSayWhere) {
    for (
        const auto& [value, text] : std::initializer_list<std::pair<const char*, const char*>>{
            {"", "no JSON"},
            {"{", "no JSON"},
            {"[]", "no JSON"},
            {"{}", "version"},
            {R"({"v":"1"})", "version"},
            {R"({"v":2})", "newer program"},
            {R"({"v":1,"password":1})", "password"},
            {R"({"v":1,"inbox":-1})", "inbox"},
            {R"({"v":1,"inbox":1.5})", "inbox"},
            {R"({"v":1,"disabled":1})", "disabled"},
            {R"({"v":1,"scram_sha1":[]})", "scram_sha1"},
            {R"({"v":1,"scram_sha1":{}})", "scram_sha1"},
            {R"({"v":1,"scram_sha256":{"iterations":4096,"salt":"!","stored_key":"AA==","server_key":"AA=="}})",
             "scram_sha256"}}) {
        const auto read = read_account(value);
        ASSERT_FALSE(read) << value;
        EXPECT_EQ(read.error().kind, ErrorKind::corrupt);
        EXPECT_THAT(read.error().text, HasSubstr(text));
    }
    for (const char* value : {R"({"v":1})", R"({"v":1,"targets":{}})", R"({"v":1,"targets":[1]})"})
        EXPECT_EQ(read_alias(value).error().kind, ErrorKind::corrupt);
    EXPECT_FALSE(read_domain("x"));
    EXPECT_FALSE(read_secret(R"({"v":1})"));
    EXPECT_FALSE(read_secret(R"({"v":1,"secret":"!"})"));
}

TEST(Records, OfAliasesDomainsAndSettingsComeBack) {
    EXPECT_THAT(*read_alias(write_alias({"a", "b@c"})), testing::ElementsAre("a", "b@c"));
    const auto domain =
        read_domain(write_domain({.name = "", .alias_of = "example.org", .quota_octets = 1ull << 40}));
    ASSERT_TRUE(domain);
    EXPECT_EQ(domain->alias_of, "example.org");
    EXPECT_EQ(domain->quota_octets, 1ull << 40);
    // What an earlier program has written.
    EXPECT_TRUE(read_domain("{\"v\":1}"));
    EXPECT_FALSE(read_domain("{\"v\":1,\"quota_octets\":\"much\"}"));
    EXPECT_EQ(*read_secret(write_secret("\xFF\x01s")), "\xFF\x01s");
}

}  // namespace
}  // namespace pier::auth
