#include <gtest/gtest.h>

#include "backends/ldap.h"
#include "backends/ldap_text.h"

namespace pier::backends {
namespace {

Settings usable() {
    Settings settings;
    settings.name = "directory";
    settings.kind = Kind::ldap;
    settings.ldap.url = "ldap://ldap.example.org";
    settings.ldap.base = "ou=people,dc=example,dc=org";
    return settings;
}

// "key text" of each problem, "?" in front of a warning.
std::vector<std::string> problems(const Settings& settings) {
    std::vector<std::string> texts;
    for (const auto& problem : problems_of_ldap(settings))
        texts.push_back((problem.is_warning ? "? " : "") + problem.key + " " + problem.text);
    return texts;
}

// The only problem; its number if there are none or several.
std::string problem(const Settings& settings) {
    const auto found = problems(settings);
    return found.size() == 1 ? found[0] : std::to_string(found.size()) + " problems";
}

TEST(LdapSettings, good_ones_have_no_problem) {
    EXPECT_EQ(problems(usable()), std::vector<std::string>());
    Settings settings = usable();
    settings.ldap.url = "ldaps://a.example.org  ldaps://b.example.org";
    settings.ldap.tls = LdapTls::ldaps;
    settings.ldap.bind_dn = "cn=pier";
    settings.ldap.bind_password_file = "/etc/pier/ldap";
    EXPECT_EQ(problems(settings), std::vector<std::string>());
    EXPECT_TRUE(open_ldap(settings));
}

TEST(LdapSettings, urls_and_tls_belong_together) {
    Settings settings = usable();
    settings.ldap.url = "";
    EXPECT_TRUE(problem(settings).starts_with("url is missing"));
    settings.ldap.url = "http://ldap.example.org";
    EXPECT_TRUE(problem(settings).starts_with("url has \"http://ldap.example.org\""));
    settings.ldap.url = "ldap.example.org";
    EXPECT_TRUE(problem(settings).starts_with("url has \"ldap.example.org\""));
    settings.ldap.url = "ldap://a.example.org ldaps://b.example.org";
    EXPECT_TRUE(problem(settings).starts_with("tls does not go with \"ldaps://b.example.org\""));
    settings.ldap.url = "ldapi://%2Frun%2Fslapd";
    EXPECT_TRUE(problem(settings).starts_with("tls has no meaning on a Unix socket"));
    settings.ldap.tls = LdapTls::none;
    EXPECT_EQ(problems(settings), std::vector<std::string>());
    settings.ldap.ca_file = "/etc/ssl/ca.pem";
    EXPECT_TRUE(problem(settings).starts_with("ca_file has no meaning"));
}

TEST(LdapSettings, passwords_in_the_clear_are_warned_of) {
    Settings settings = usable();
    settings.ldap.tls = LdapTls::none;
    EXPECT_TRUE(problem(settings).starts_with("? tls is \"none\", so passwords cross the network"));
    EXPECT_TRUE(open_ldap(settings));
    settings.ldap.url = "ldap://localhost:389 ldap://127.0.0.1 ldap://[::1]";
    EXPECT_EQ(problems(settings), std::vector<std::string>());
    settings.ldap.url = "ldap://localhost.example.org";
    EXPECT_TRUE(problem(settings).starts_with("? tls"));
}

TEST(LdapSettings, templates_ask_for_the_name) {
    Settings settings = usable();
    settings.ldap.filter = "(objectClass=person)";
    EXPECT_TRUE(problem(settings).starts_with("filter does not ask for the name"));
    settings.ldap.filter = "(uid=%x)";
    EXPECT_TRUE(problem(settings).starts_with("filter has %x at character 6"));
    settings.ldap.filter = "(&(uid=%n)(mail=%u)";
    EXPECT_TRUE(problem(settings).starts_with("filter is no filter"));
    settings = usable();
    settings.ldap.base.clear();
    EXPECT_TRUE(problem(settings).starts_with("base is missing"));
    settings.ldap.user_dn = "uid=%n,ou=people";
    EXPECT_EQ(problems(settings), std::vector<std::string>());
    settings.ldap.user_dn = "ou=people";
    EXPECT_TRUE(problem(settings).starts_with("user_dn does not ask for the name"));
    settings.ldap.user_dn = "uid=%n,ou=people";
    settings.ldap.base = "ou=people";
    EXPECT_TRUE(problem(settings).starts_with("base has no meaning beside user_dn"));
}

TEST(LdapSettings, what_belongs_together_does_not_stand_alone) {
    Settings settings = usable();
    settings.ldap.bind_dn = "cn=pier";
    EXPECT_TRUE(problem(settings).starts_with("bind_dn stands alone"));
    settings = usable();
    settings.ldap.bind_password_file = "/etc/pier/ldap";
    EXPECT_TRUE(problem(settings).starts_with("bind_password_file stands alone"));
    settings = usable();
    settings.ldap.check = LdapCheck::search;
    settings.ldap.password_attribute.clear();
    EXPECT_TRUE(problem(settings).starts_with("password_attribute is empty"));
}

TEST(LdapSettings, a_filter_is_in_parentheses) {
    for (const char* good : {"(uid=a)", "(&(a=b)(c=d))", "(!(a=b))"})
        EXPECT_TRUE(filter_is_closed(good)) << good;
    for (const char* bad : {"", "uid=a", "(uid=a", "(uid=a))", "(a=b)(c=d)", "((a=b)", ")("})
        EXPECT_FALSE(filter_is_closed(bad)) << bad;
}

TEST(LdapSettings, a_server_that_is_away_is_an_outage_for_every_question) {
    Settings settings = usable();
    settings.ldap.url = "ldapi://%2Fnonexistent";
    settings.ldap.tls = LdapTls::none;
    const auto make = open_ldap(settings);
    ASSERT_TRUE(make) << make.error().text;
    const auto source = (*make)();
    for (int i = 0; i < 3; ++i) {
        const Answer checked = source->check({.name = "ada", .password = "secret"});
        ASSERT_TRUE(std::holds_alternative<Outage>(checked));
        EXPECT_NE(std::get<Outage>(checked).text.find("nonexistent"), std::string::npos);
        EXPECT_TRUE(std::holds_alternative<Outage>(source->find("ada")));
    }
}

}  // namespace
}  // namespace pier::backends
