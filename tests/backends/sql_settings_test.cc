#include <gtest/gtest.h>

#include "backends/sql.h"
#include "backends/sql_connection.h"

namespace pier::backends {
namespace {

Settings usable() {
    Settings settings;
    settings.name = "db";
    settings.kind = Kind::sql;
    settings.sql.connection = "host=/run/postgresql dbname=mail user=pier";
    settings.sql.password_query = "SELECT password FROM users WHERE name = %u";
    return settings;
}

// "key text" of each problem, "?" in front of a warning.
std::vector<std::string> problems(const Settings& settings) {
    std::vector<std::string> texts;
    for (const auto& problem : problems_of_sql(settings))
        texts.push_back((problem.is_warning ? "? " : "") + problem.key + " " + problem.text);
    return texts;
}

TEST(SqlSettings, good_ones_have_no_problem) {
    EXPECT_EQ(problems(usable()), std::vector<std::string>());
    EXPECT_TRUE(open_sql(usable()));
}

TEST(SqlSettings, a_connection_that_libpq_cannot_read_is_refused) {
    Settings settings = usable();
    settings.sql.connection = "hots=db";
    const auto found = problems(settings);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_NE(found[0].find("connection can't be read by libpq (invalid connection option \"hots\")"),
              std::string::npos)
        << found[0];
    EXPECT_FALSE(open_sql(settings));
}

TEST(SqlSettings, a_password_in_the_connection_is_refused_and_not_repeated) {
    for (const char* connection :
         {"host=/run dbname=mail password=hunter2", "postgresql://pier:hunter2@localhost/mail"}) {
        Settings settings = usable();
        settings.sql.connection = connection;
        const auto found = problems(settings);
        ASSERT_EQ(found.size(), 1u);
        EXPECT_NE(found[0].find("password_file"), std::string::npos) << found[0];
        EXPECT_EQ(found[0].find("hunter2"), std::string::npos) << found[0];
    }
}

TEST(SqlSettings, queries_are_checked_with_their_key) {
    Settings settings = usable();
    settings.sql.password_query.clear();
    settings.sql.user_query = "SELECT 1 FROM users WHERE name = '%u'";
    const auto found = problems(settings);
    ASSERT_EQ(found.size(), 2u);
    EXPECT_TRUE(found[0].starts_with("password_query is missing")) << found[0];
    EXPECT_TRUE(found[1].starts_with("user_query has quotes")) << found[1];
}

TEST(SqlSettings, another_machine_that_nobody_verifies_is_warned_of) {
    for (const char* connection : {"dbname=mail", "host=/run/postgresql", "host=localhost",
                                   "host=127.0.0.1,::1", "host=db.example.org sslmode=verify-full"})
        EXPECT_FALSE(sql_connection_is_exposed(connection)) << connection;
    for (const char* connection : {"host=db.example.org", "host=localhost,192.0.2.1", "hostaddr=192.0.2.1",
                                   "host=db.example.org sslmode=require", "postgresql://db.example.org/mail"})
        EXPECT_TRUE(sql_connection_is_exposed(connection)) << connection;
    Settings settings = usable();
    settings.sql.connection = "host=db.example.org";
    const auto found = problems(settings);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_TRUE(found[0].starts_with("? connection goes to another machine")) << found[0];
    EXPECT_TRUE(open_sql(settings));
}

TEST(SqlSettings, a_server_that_is_away_is_an_outage_for_every_question) {
    Settings settings = usable();
    settings.sql.connection = "host=/nonexistent dbname=mail";
    const auto make = open_sql(settings);
    ASSERT_TRUE(make) << make.error().text;
    const auto source = (*make)();
    for (int i = 0; i < 3; ++i) {
        const Answer checked = source->check({.name = "ada", .password = "secret"});
        ASSERT_TRUE(std::holds_alternative<Outage>(checked));
        EXPECT_NE(std::get<Outage>(checked).text.find("/nonexistent"), std::string::npos);
        EXPECT_TRUE(std::holds_alternative<Outage>(source->find("ada")));
    }
}

}  // namespace
}  // namespace pier::backends
