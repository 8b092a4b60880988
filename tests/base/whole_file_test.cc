#include "base/whole_file.h"

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace pier {
namespace {

class WholeFile : public testing::Test {
  protected:
    WholeFile() {
        char pattern[] = "/tmp/pier-test-XXXXXX";
        folder_ = mkdtemp(pattern);
        file_ = folder_ + "/file";
    }
    ~WholeFile() override { std::filesystem::remove_all(folder_); }
    std::string folder_, file_;
};

TEST_F(WholeFile, WhatIsWrittenIsRead) {
    ASSERT_TRUE(replace_file(file_, "one", 0600).has_value());
    ASSERT_TRUE(replace_file(file_, std::string("t\0wo", 4), 0600).has_value());
    EXPECT_EQ(*read_whole_file(file_, 4), std::string("t\0wo", 4));
    EXPECT_FALSE(std::filesystem::exists(file_ + ".new"));
}

TEST_F(WholeFile, TheModeIsTheOneThatWasAskedFor) {
    ASSERT_TRUE(replace_file(file_, "one", 0600).has_value());
    ::chmod(file_.c_str(), 0644);
    ASSERT_TRUE(replace_file(file_, "two", 0600).has_value());
    struct stat status {};
    ASSERT_EQ(::stat(file_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(WholeFile, ThereIsAMostOfOctets) {
    ASSERT_TRUE(replace_file(file_, "12345", 0600).has_value());
    EXPECT_TRUE(read_whole_file(file_, 5).has_value());
    EXPECT_EQ(read_whole_file(file_, 4).error().kind, ErrorKind::invalid);
}

TEST_F(WholeFile, WhatIsNoFileIsRefused) {
    EXPECT_EQ(read_whole_file(file_, 5).error().kind, ErrorKind::not_found);
    EXPECT_EQ(read_whole_file(folder_, 5).error().kind, ErrorKind::invalid);
    EXPECT_FALSE(replace_file(folder_ + "/none/file", "x", 0600).has_value());
    ::mkfifo(file_.c_str(), 0600);
    EXPECT_EQ(read_whole_file(file_, 5).error().kind, ErrorKind::invalid) << "and nobody waits for a writer";
}

}  // namespace
}  // namespace pier
