#include "backends/sql_query.h"

#include <gtest/gtest.h>

namespace pier::backends {
namespace {

std::string refused(std::string_view text) {
    const auto query = parse_sql_query(text);
    return query ? "taken: " + query->text : query.error().text;
}

TEST(SqlQuery, parts_of_the_name_become_parameters) {
    const auto query =
        parse_sql_query("SELECT password FROM users WHERE name = %n AND domain = %d OR address = %u");
    ASSERT_TRUE(query) << query.error().text;
    EXPECT_EQ(query->text, "SELECT password FROM users WHERE name = $1 AND domain = $2 OR address = $3");
    EXPECT_EQ(query->parameters, (std::vector{NamePart::local, NamePart::domain, NamePart::whole}));
}

TEST(SqlQuery, a_part_that_is_there_twice_is_one_parameter) {
    const auto query =
        parse_sql_query("SELECT password FROM a WHERE n = %u UNION SELECT password FROM b WHERE n = %u");
    ASSERT_TRUE(query) << query.error().text;
    EXPECT_EQ(query->text, "SELECT password FROM a WHERE n = $1 UNION SELECT password FROM b WHERE n = $1");
    EXPECT_EQ(query->parameters.size(), 1u);
}

TEST(SqlQuery, quotes_of_the_query_itself_are_left_alone) {
    const auto query =
        parse_sql_query("SELECT '{PLAIN};$1' || p AS \"password\" FROM u WHERE n = %u AND x LIKE 'it''s%%'");
    ASSERT_TRUE(query) << query.error().text;
    EXPECT_EQ(query->text,
              "SELECT '{PLAIN};$1' || p AS \"password\" FROM u WHERE n = $1 AND x LIKE 'it''s%'");
}

TEST(SqlQuery, a_place_within_quotes_is_refused) {
    EXPECT_NE(refused("SELECT password FROM u WHERE n = '%u'").find("quotes around the % at character 35"),
              std::string::npos);
    EXPECT_NE(refused("SELECT password FROM u WHERE n = 'it''s%u'").find("quotes around"), std::string::npos);
    EXPECT_NE(refused("SELECT p AS \"%u\" FROM u").find("quotes around"), std::string::npos);
}

TEST(SqlQuery, what_is_no_query_for_a_name_is_refused) {
    EXPECT_NE(refused("SELECT password FROM u").find("does not ask for the name"), std::string::npos);
    EXPECT_NE(refused("SELECT p FROM u WHERE n = $1 AND d = %d").find("'$' with a number"),
              std::string::npos);
    EXPECT_NE(refused("SELECT p FROM u WHERE n = %u;").find("';'"), std::string::npos);
    EXPECT_NE(refused("SELECT p FROM u WHERE n = %u AND a = 'b").find("not closed"), std::string::npos);
    EXPECT_NE(refused("SELECT p FROM u WHERE n = %s").find("%s at character 27"), std::string::npos);
}

}  // namespace
}  // namespace pier::backends
