#include "backends/secret_file.h"

#include <cstdlib>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace pier::backends {
namespace {

std::string read(const std::string& content) {
    char file[] = "/tmp/pier-secret-XXXXXX";
    const int descriptor = ::mkostemp(file, O_CLOEXEC);
    EXPECT_GE(descriptor, 0);
    EXPECT_EQ(::write(descriptor, content.data(), content.size()), static_cast<ssize_t>(content.size()));
    ::close(descriptor);
    const auto secret = read_secret(file, "password_file");
    ::unlink(file);
    return secret ? "<" + *secret + ">" : "error: " + secret.error().text;
}

TEST(SecretFile, the_first_line_counts) {
    EXPECT_EQ(read("secret\n"), "<secret>");
    EXPECT_EQ(read("secret"), "<secret>");
    EXPECT_EQ(read("with spaces \r\nand more\n"), "<with spaces >");
}

TEST(SecretFile, what_is_no_password_is_refused_and_not_repeated) {
    EXPECT_EQ(read(std::string(1024, 'x') + "\n"), "<" + std::string(1024, 'x') + ">");
    const std::string too_long = read(std::string(1025, 'x') + "\n");
    EXPECT_NE(too_long.find("error: the first line of "), std::string::npos);
    EXPECT_EQ(too_long.find("xxx"), std::string::npos);
    EXPECT_NE(read("").find("password_file"), std::string::npos);
    EXPECT_NE(read("\nsecond").find("it is empty"), std::string::npos);
    const auto absent = read_secret("/nonexistent/secret", "password_file");
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().kind, ErrorKind::not_found);
    EXPECT_NE(absent.error().text.find("/nonexistent/secret"), std::string::npos);
}

}  // namespace
}  // namespace pier::backends
