#include <algorithm>

#include <gtest/gtest.h>

#include "main/config_file.h"

namespace pier::program {
namespace {

Loaded parse(std::string_view text) {
    return parse_config(text, "/etc/pier/pier.toml");
}

// The only error, with its line; all else is a failure.
std::string the_error(std::string_view text) {
    const Loaded loaded = parse(text);
    std::string found;
    for (const Problem& problem : loaded.problems) {
        if (problem.severity != Severity::error) continue;
        EXPECT_EQ(found, "") << "several errors in\n" << text;
        found = std::to_string(problem.place.line) + ": " + problem.text;
    }
    return found;
}

constexpr std::string_view sql = R"([[backend]]
kind = "sql"
connection = "host=/run/postgresql dbname=mail"
password_query = "SELECT password FROM users WHERE name = %u"
)";
constexpr std::string_view ldap = R"([[backend]]
kind = "ldap"
url = "ldap://a.example.org ldap://b.example.org"
base = "ou=people,dc=example"
)";

TEST(ConfigDirectories, sql_is_read) {
    const Loaded loaded =
        parse(std::string(sql) +
              "user_query = \"SELECT 1 FROM users WHERE name = %n\"\npassword_file = \"db\"\n"
              "connect_timeout = \"3s\"\n");
    ASSERT_TRUE(loaded.usable());
    const backends::Settings& settings = loaded.config.backends[0];
    EXPECT_EQ(settings.kind, backends::Kind::sql);
    EXPECT_EQ(settings.sql.connection, "host=/run/postgresql dbname=mail");
    EXPECT_EQ(settings.sql.password_query, "SELECT password FROM users WHERE name = %u");
    EXPECT_EQ(settings.sql.user_query, "SELECT 1 FROM users WHERE name = %n");
    EXPECT_EQ(settings.sql.password_file, "/etc/pier/db");
    EXPECT_EQ(settings.connect_timeout, std::chrono::seconds(3));
}

TEST(ConfigDirectories, ldap_is_read) {
    const Loaded loaded =
        parse(std::string(ldap) +
              "tls = \"starttls\"\nca_file = \"ca.pem\"\nbind_dn = \"cn=pier\"\nbind_password_file = \"/x\"\n"
              "check = \"search\"\nfilter = \"(mail=%u)\"\nscope = \"one\"\npassword_attribute = \"secret\"\n"
              "name_attribute = \"a\"\nquota_attribute = \"b\"\ndisabled_attribute = \"c\"\n");
    ASSERT_TRUE(loaded.usable());
    const backends::LdapSettings& settings = loaded.config.backends[0].ldap;
    EXPECT_EQ(settings.url, "ldap://a.example.org ldap://b.example.org");
    EXPECT_EQ(settings.tls, backends::LdapTls::starttls);
    EXPECT_EQ(settings.ca_file, "/etc/pier/ca.pem");
    EXPECT_EQ(settings.bind_dn, "cn=pier");
    EXPECT_EQ(settings.bind_password_file, "/x");
    EXPECT_EQ(settings.check, backends::LdapCheck::search);
    EXPECT_EQ(settings.base, "ou=people,dc=example");
    EXPECT_EQ(settings.filter, "(mail=%u)");
    EXPECT_EQ(settings.scope, backends::LdapScope::one_level);
    EXPECT_EQ(settings.password_attribute, "secret");
    EXPECT_EQ(settings.name_attribute + settings.quota_attribute + settings.disabled_attribute, "abc");
}

TEST(ConfigDirectories, what_is_wrong_is_told_with_its_place) {
    EXPECT_EQ(
        the_error("[[backend]]\nkind = \"sql\"\nconnection = \"dbname=mail\"\n"
                  "password_query = \"SELECT password FROM users WHERE name = '%u'\"\n"),
        "4: backend.password_query has quotes around the % at character 42; take them away: the name is "
        "sent beside the query and needs none");
    EXPECT_TRUE(
        the_error(std::string(ldap) + "filter = \"(uid=%x)\"\n").starts_with("5: backend.filter has %x"));
    EXPECT_TRUE(
        the_error(std::string(sql) + "connect_timeout = 1\n").starts_with("5: backend.connect_timeout"));
}

TEST(ConfigDirectories, one_person_is_one_account) {
    const std::string by_local_part = std::string(ldap) + "filter = \"(uid=%n)\"\n";
    const Loaded loaded = parse(by_local_part);
    EXPECT_TRUE(std::ranges::any_of(loaded.problems, [](const Problem& problem) {
        return problem.severity == Severity::warning &&
               problem.text.find("two accounts") != std::string::npos;
    }));
    for (const std::string& fine :
         {by_local_part + "names = \"local\"\n", std::string(ldap) + "filter = \"(mail=%u)\"\n"})
        for (const Problem& problem : parse(fine).problems)
            EXPECT_EQ(problem.text.find("two accounts"), std::string::npos) << problem.text;
}

TEST(ConfigDirectories, keys_of_another_kind_are_refused) {
    EXPECT_EQ(the_error(std::string(sql) + "url = \"ldap://a.example.org\"\n"),
              "5: backend.url has no meaning for the kind \"sql\"; take it out");
    EXPECT_EQ(the_error(std::string(ldap) + "connection = \"dbname=mail\"\n"),
              "5: backend.connection has no meaning for the kind \"ldap\"; take it out");
    EXPECT_EQ(the_error("[[backend]]\nkind = \"pam\"\nconnect_timeout = 7\n"),
              "3: backend.connect_timeout has no meaning for the kind \"pam\"; take it out");
}

}  // namespace
}  // namespace pier::program
