#include "auth/name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pier::auth {
namespace {

using namespace std::string_literals;

TEST(AccountNames, AreFoldedAndKept) {
    for (const auto& [given, kept] : std::initializer_list<std::pair<const char*, const char*>>{
             {"ada", "ada"},
             {"ADA", "ada"},
             {"Ada@Example.ORG", "ada@example.org"},
             {"ada.b+c_d-e@x.example", "ada.b+c_d-e@x.example"},
             {"o'brien@example.org", "o'brien@example.org"},
             {"a=b&c#d", "a=b&c#d"},
             {"1@localhost", "1@localhost"},
             {"j\xC3\xBCrgen@b\xC3\xBC"
              "cher.example",
              "j\xC3\xBCrgen@b\xC3\xBC"
              "cher.example"},
             {"\xE5\xB1\xB1\xE7\x94\xB0", "\xE5\xB1\xB1\xE7\x94\xB0"}}) {
        const auto name = account_name(given);
        ASSERT_TRUE(name) << given << ": " << name.error().text;
        EXPECT_EQ(*name, kept);
    }
}

TEST(AccountNames, AreRefusedWhenTheyCouldBeSomethingElse) {
    for (const auto& name : {""s,
                             "@"s,
                             "@example.org"s,
                             "ada@"s,
                             "../x"s,
                             "a/b"s,
                             "."s,
                             ".."s,
                             ".ada"s,
                             "ada."s,
                             "a..b"s,
                             "-rf"s,
                             "%u"s,
                             "a%b"s,
                             "a\"b"s,
                             "`id`"s,
                             "$HOME"s,
                             "*)(uid=*"s,
                             "a b"s,
                             " ada"s,
                             "ada "s,
                             "a\\b"s,
                             "a;b"s,
                             "a|b"s,
                             "a>b"s,
                             "a,b"s,
                             "a:b"s,
                             "a!b"s,
                             "a?b"s,
                             "a~"s,
                             "{a}"s,
                             "[a]"s,
                             "a\0b"s,
                             "a\nb"s,
                             "a\rb"s,
                             "a\x1B[m"s,
                             "a\x7F"s,
                             "a@b@c"s,
                             "a@b..c"s,
                             "a@.b"s,
                             "a@b."s,
                             "a@-b"s,
                             "a@b-"s,
                             "a@b_c"s,
                             "a@[127.0.0.1]"s,
                             "a@b c"s,
                             "\xFF"s,
                             "a\xC3"s,
                             "\xC0\xAE\xC0\xAE"s,
                             "\xED\xA0\x80"s,
                             "a\xC2\x85"s,
                             "a\xC2\xA0"s,
                             "a\xE2\x80\x8B"s,
                             "a\xE2\x80\xAE"s,
                             "a\xEF\xBB\xBF"s,
                             "a\xE3\x80\x80"s,
                             "a\xC2\xAD"s,
                             "a\xF3\xA0\x80\x81"s,
                             "a\xEF\xBF\xBF"s}) {
        const auto checked = account_name(name);
        ASSERT_FALSE(checked) << name;
        EXPECT_EQ(checked.error().kind, ErrorKind::invalid);
        EXPECT_NE(checked.error().text, "");
    }
}

TEST(AccountNames, HaveALimit) {
    for (const std::size_t octets : {name_octets_max - 1, name_octets_max})
        EXPECT_TRUE(account_name(std::string(octets, 'a')));
    EXPECT_FALSE(account_name(std::string(name_octets_max + 1, 'a')));
    EXPECT_FALSE(account_name(std::string(64 * 1024, 'a')));
}

TEST(Domains, AreLabelsWithLimits) {
    EXPECT_EQ(*domain_name("Example.ORG"), "example.org");
    EXPECT_EQ(*domain_name("localhost"), "localhost");
    EXPECT_EQ(*domain_name("xn--bcher-kva.example"), "xn--bcher-kva.example");
    for (const std::size_t octets : {62, 63})
        EXPECT_TRUE(domain_name(std::string(octets, 'a') + ".org"));
    EXPECT_FALSE(domain_name(std::string(64, 'a') + ".org"));
    const std::string label = std::string(62, 'a') + ".";
    const std::string longest = label + label + label + label;  // 252
    EXPECT_FALSE(domain_name(longest)) << "it ends with a dot";
    EXPECT_TRUE(domain_name(longest + "a"));  // 253
    EXPECT_FALSE(domain_name(longest + "aa"));
    for (const auto name : {"", ".", "a..b", "*", "*.example.org", "a/b", "exam ple", "a_b", "@a", "a@b"})
        EXPECT_FALSE(domain_name(name)) << name;
}

TEST(AliasAddresses, MayBeAWholeDomain) {
    EXPECT_EQ(*alias_address("@Example.org"), "@example.org");
    EXPECT_EQ(*alias_address("Postmaster"), "postmaster");
    EXPECT_FALSE(alias_address("@"));
    EXPECT_FALSE(alias_address(""));
    EXPECT_FALSE(alias_address("@a@b"));
}

TEST(LoginNames, SayWhoAsksForWhom) {
    const auto split = [](std::string_view authzid, std::string_view user) {
        const LoginName login = split_login(authzid, user);
        return std::string(login.authzid) + "|" + std::string(login.user);
    };
    EXPECT_EQ(split("", "ada"), "|ada");
    EXPECT_EQ(split("", "ada*root"), "ada|root");
    EXPECT_EQ(split("", "ada@example.org*root@example.org"), "ada@example.org|root@example.org");
    EXPECT_EQ(split("", "a*b*root"), "a*b|root");
    EXPECT_EQ(split("", "*root"), "|root");
    EXPECT_EQ(split("", "ada*"), "ada|");
    EXPECT_EQ(split("eve", "ada*root"), "eve|ada*root");
}

TEST(Addresses, AreSplitAtTheLastAt) {
    using Parts = std::pair<std::string_view, std::string_view>;
    EXPECT_EQ(split_address("ada@example.org"), Parts("ada", "example.org"));
    EXPECT_EQ(split_address("ada"), Parts("ada", ""));
    EXPECT_EQ(split_address("a@b@c"), Parts("a@b", "c"));
    EXPECT_EQ(split_address("@c"), Parts("", "c"));
}

}  // namespace
}  // namespace pier::auth
