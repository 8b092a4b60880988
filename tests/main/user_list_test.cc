#include "main/user_list.h"

#include <gtest/gtest.h>

namespace pier::program {
namespace {

TEST(UserList, NamesUsersAccountsAndPasswords) {
    const auto users =
        parse_user_list("# old new password\nada ada@example.org correct horse \r\n\n  bob\tbob x", true);
    ASSERT_TRUE(users) << users.error().text;
    ASSERT_EQ(users->size(), 2u);
    EXPECT_EQ((*users)[0].old_user, "ada");
    EXPECT_EQ((*users)[0].account, "ada@example.org");
    EXPECT_EQ((*users)[0].password, "correct horse ");
    EXPECT_EQ((*users)[1].old_user, "bob");
    EXPECT_EQ((*users)[1].password, "x");
}

TEST(UserList, WithoutPasswordsTheAccountMayBeMissing) {
    const auto users = parse_user_list("ada\nbob b@example.org", false);
    ASSERT_TRUE(users) << users.error().text;
    EXPECT_EQ((*users)[0].account, "ada");
    EXPECT_EQ((*users)[1].account, "b@example.org");
}

TEST(UserList, MistakesNameTheLineAndNoPassword) {
    for (const auto& [text, passwords] :
         {std::pair{"ada ada s3cret\nbob bob", true}, {"ada ada\nbob bob s3cret", false}}) {
        const auto users = parse_user_list(text, passwords);
        ASSERT_FALSE(users);
        EXPECT_NE(users.error().text.find("line 2"), std::string::npos);
        EXPECT_EQ(users.error().text.find("s3cret"), std::string::npos);
    }
    EXPECT_FALSE(parse_user_list("# nobody\n", false));
}

TEST(UserList, PathsOfUsers) {
    EXPECT_EQ(path_of_user("/var/mail/%d/%n/Maildir", "ada@example.org"),
              "/var/mail/example.org/ada/Maildir");
    EXPECT_EQ(path_of_user("/home/%u%d", "ada"), "/home/ada");
    EXPECT_EQ(path_of_user("/a%%b%x%", "ada"), "/a%b%x%");
}

}  // namespace
}  // namespace pier::program
