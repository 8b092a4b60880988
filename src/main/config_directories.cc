#include "main/config_directories.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "backends/ldap.h"
#include "backends/sql.h"
#include "main/config_fields.h"

namespace pier::program {
namespace {

using namespace std::string_view_literals;

// In the enums' order.
constexpr std::array check_words{"bind"sv, "search"sv};
constexpr std::array tls_words{"none"sv, "starttls"sv, "ldaps"sv};
constexpr std::array scope_words{"subtree"sv, "one"sv, "base"sv};
constexpr std::size_t text_octets_max = 4096;

}  // namespace

#define OF_BACKEND(member)                \
    [](auto& c, std::size_t i) -> auto& { \
        return c.backends[i].member;      \
    }

std::vector<Field> sql_fields() {
    return {
        secret(
            text("connection", program::Kind::text, OF_BACKEND(sql.connection), text_octets_max,
                 "sql: where PostgreSQL is, as libpq reads it: \"host=db.example.org dbname=mail user=pier "
                 "sslmode=verify-full\".")),
        text("password_file", program::Kind::path, OF_BACKEND(sql.password_file), path_octets_max,
             "sql: a file whose first line is that user's password. Empty: none is needed."),
        text(
            "password_query", program::Kind::text, OF_BACKEND(sql.password_query), text_octets_max,
            "sql: a SELECT with one row for each user, where %u is the name, %n what stands before its @ and "
            "%d what stands behind it. Its columns: password, name, quota, disabled, disabled_text."),
        text("user_query", program::Kind::text, OF_BACKEND(sql.user_query), text_octets_max,
             "sql: the same for mail that comes in, without the password. Empty: password_query."),
    };
}

std::vector<Field> ldap_fields() {
    return {
        text("url", program::Kind::text, OF_BACKEND(ldap.url), text_octets_max,
             "ldap: the directory's servers with spaces between them, tried in this order: "
             "\"ldap://ldap1.example.org ldap://ldap2.example.org\"."),
        word("tls", OF_BACKEND(ldap.tls), tls_words,
             "ldap: starttls on ldap:// URLs, ldaps for ldaps:// URLs, or none. Certificates are verified."),
        text("ca_file", program::Kind::path, OF_BACKEND(ldap.ca_file), path_octets_max,
             "ldap: a PEM file with the authorities that are believed. Empty: the system's."),
        text("bind_dn", program::Kind::text, OF_BACKEND(ldap.bind_dn), text_octets_max,
             "ldap: as whom Pier searches. Empty: anonymously."),
        text("bind_password_file", program::Kind::path, OF_BACKEND(ldap.bind_password_file), path_octets_max,
             "ldap: a file whose first line is the password of bind_dn."),
        word("check", OF_BACKEND(ldap.check), check_words,
             "ldap: how a password is checked: bind as the user, or search for password_attribute and "
             "compare."),
        text("base", program::Kind::text, OF_BACKEND(ldap.base), text_octets_max,
             "ldap: the entry below which users are searched for, as in ou=people,dc=example,dc=org."),
        text("filter", program::Kind::text, OF_BACKEND(ldap.filter), text_octets_max,
             "ldap: what finds one entry for a name; %u, %n and %d as in password_query."),
        word("scope", OF_BACKEND(ldap.scope), scope_words,
             "ldap: how far below base is searched: everywhere (subtree), one level, or base itself."),
        text("user_dn", program::Kind::text, OF_BACKEND(ldap.user_dn), text_octets_max,
             "ldap: in place of base and filter: a user's entry, as in uid=%n,ou=people,dc=example,dc=org."),
        text("password_attribute", program::Kind::text, OF_BACKEND(ldap.password_attribute), 255,
             "ldap: the attribute that is compared with check = \"search\"."),
        text("name_attribute", program::Kind::text, OF_BACKEND(ldap.name_attribute), 255,
             "ldap: an attribute with the name of a user's account. Empty: the name that he typed."),
        text("quota_attribute", program::Kind::text, OF_BACKEND(ldap.quota_attribute), 255,
             "ldap: an attribute with a user's quota in octets. Empty: none."),
        text("disabled_attribute", program::Kind::text, OF_BACKEND(ldap.disabled_attribute), 255,
             "ldap: an attribute that is TRUE for whoever may not log in. Empty: none."),
    };
}

std::optional<backends::Kind> directory_that_knows(std::string_view key) {
    const auto has = [&](const std::vector<Field>& fields) {
        return std::any_of(fields.begin(), fields.end(),
                           [&](const Field& field) { return field.key == key; });
    };
    if (has(sql_fields())) return backends::Kind::sql;
    if (has(ldap_fields())) return backends::Kind::ldap;
    return std::nullopt;
}

namespace {

// ada and ada@example.org would be found alike, and would be two accounts of one person.
void check_names(Loaded& loaded, std::size_t index) {
    const backends::Settings& settings = loaded.config.backends[index];
    const std::string asked = settings.kind == backends::Kind::sql
                                  ? settings.sql.password_query
                                  : settings.ldap.filter + settings.ldap.user_dn;
    const auto uses = [&asked](std::string_view variable) {
        return asked.find(variable) != std::string::npos;
    };
    if (settings.names == backends::Names::any && uses("%n") && !uses("%u") && !uses("%d"))
        loaded.add(
            Severity::warning, loaded.place(fmt::format("backend[{}]", index), "names"),
            "backend.names is \"any\" and only %n is asked for: ada and ada@example.org would become two "
            "accounts; write names = \"local\"");
}

}  // namespace

void check_directory(Loaded& loaded, std::size_t index) {
    const backends::Settings& settings = loaded.config.backends[index];
    if (settings.kind == backends::Kind::sql || settings.kind == backends::Kind::ldap)
        check_names(loaded, index);
    std::vector<backends::SettingProblem> problems;
    if (settings.kind == backends::Kind::sql) problems = backends::problems_of_sql(settings);
    if (settings.kind == backends::Kind::ldap) problems = backends::problems_of_ldap(settings);
    for (const backends::SettingProblem& problem : problems)
        loaded.add(problem.is_warning ? Severity::warning : Severity::error,
                   loaded.place(fmt::format("backend[{}]", index), problem.key),
                   fmt::format("backend.{} {}", problem.key, problem.text));
}

}  // namespace pier::program
