// Dovecot's passwd-file: lines, and a file that changes.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "backends/passwd_file.h"
#include "backends/passwd_line.h"
#include "base/log.h"

namespace pier::backends {
namespace {

PasswdEntry entry_of(std::string_view line) {
    const auto parsed = parse_passwd_line(line);
    EXPECT_TRUE(parsed && *parsed) << line;
    return parsed && *parsed ? **parsed : PasswdEntry{};
}

TEST(PasswdLine, ALineOfDovecotsWiki) {
    const PasswdEntry entry = entry_of(
        "User:{PLAIN}pass:1000:1000::/home/user::userdb_mail=maildir:~/Maildir allow_nets=192.168.0.0/24");
    EXPECT_EQ(entry.name, "user");
    EXPECT_EQ(entry.password, "{PLAIN}pass");
    EXPECT_TRUE(entry.may_log_in);
    ASSERT_TRUE(entry.user.allow);
    EXPECT_EQ(entry.user.allow->front().text(), "192.168.0.0/24");
}

TEST(PasswdLine, FieldsMayBeLeftOutFromTheRight) {
    EXPECT_EQ(entry_of("ada:{PLAIN}pencil").password, "{PLAIN}pencil");
    EXPECT_EQ(entry_of("ada:").password, "");
    EXPECT_EQ(entry_of("ada").password, "");
    EXPECT_EQ(entry_of("ada:$1$x:1:2:Ada, L.:/home/ada:/bin/sh\r").password, "$1$x");
}

TEST(PasswdLine, EmptyLinesAndCommentsAreNone) {
    for (const char* line : {"", "\r", "# ada:{PLAIN}x", "#"}) {
        const auto parsed = parse_passwd_line(line);
        EXPECT_TRUE(parsed && !*parsed) << line;
    }
}

TEST(PasswdLine, Quotas) {
    const auto quota = [](std::string_view rule) {
        return entry_of("ada:x::::::userdb_quota_rule=" + std::string(rule)).user.quota_octets;
    };
    EXPECT_EQ(quota("*:storage=1G"), 1ull << 30);
    EXPECT_EQ(quota("*:storage=500M:messages=100"), 500ull << 20);
    EXPECT_EQ(quota("*:storage=100MB"), 100ull << 20);
    EXPECT_EQ(quota("*:storage=2048"), 2048ull << 10);  // Dovecot counts kilobytes there
    EXPECT_EQ(quota("*:bytes=12345"), 12345U);
    EXPECT_EQ(quota("*:storage=0"), 0U);
    EXPECT_EQ(quota("Trash:storage=+10%%"), std::nullopt);
    EXPECT_EQ(quota("*:messages=1000"), std::nullopt);
    EXPECT_EQ(entry_of("ada:x::::::quota_rule=*:bytes=5").user.quota_octets, 5U);
    for (const char* bad : {"*:storage=", "*:storage=much", "*:storage=1X", "*:storage=99999999999T"})
        EXPECT_FALSE(parse_passwd_line("ada:x::::::userdb_quota_rule=" + std::string(bad))) << bad;
}

TEST(PasswdLine, ExtraFieldsThatSayWhoMayLogIn) {
    EXPECT_FALSE(entry_of("ada:x::::::nologin").may_log_in);
    EXPECT_FALSE(entry_of("ada:x::::::nologin=y").may_log_in);
    EXPECT_TRUE(entry_of("ada:x::::::nologin=no").may_log_in);
    EXPECT_EQ(entry_of("ada:{PLAIN}x::::::nopassword=y").password, "");
    EXPECT_EQ(entry_of("ada@example.org:x::::::user=Ada").user.name, "ada");
    EXPECT_EQ(entry_of("ada:x::::::allow_nets=local,2001:db8::/32").user.allow->size(), 2U);
    EXPECT_FALSE(parse_passwd_line("ada:x::::::allow_nets=everywhere"));
    EXPECT_FALSE(parse_passwd_line("ada:x::::::allow_nets="));
}

TEST(PasswdLine, WhatIsWrongIsSaidWithoutTheLine) {
    const auto parsed = parse_passwd_line("bad name!:{PLAIN}pencil");
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().text.find("pencil"), std::string::npos);
}

struct PasswdFileTest : testing::Test {
    PasswdFileTest()
        : folder(std::filesystem::temp_directory_path() / ("passwd_file." + std::to_string(::getpid()))) {
        std::filesystem::create_directories(folder);
        settings.passwd_file.file = (folder / "users").string();
        source = (*open_passwd_file(settings))();
    }
    ~PasswdFileTest() override { std::filesystem::remove_all(folder); }
    // As an administrator should: another file takes its place.
    void write(const std::string& text) const {
        std::ofstream(folder / "new") << text;
        std::filesystem::rename(folder / "new", settings.passwd_file.file);
    }
    Answer check(const std::string& name, const std::string& password) {
        return source->check({.name = name, .password = password});
    }

    std::filesystem::path folder;
    Settings settings;
    std::unique_ptr<Source> source;
};

TEST_F(PasswdFileTest, APasswordOfEachKindOfHash) {
    write(
        "plain:{PLAIN}pencil\n"
        "crypt:$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/"
        "jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/\n"
        "sha:{SHA256.HEX}2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n");
    EXPECT_TRUE(std::holds_alternative<Found>(check("plain", "pencil")));
    EXPECT_TRUE(std::holds_alternative<WrongPassword>(check("plain", "Pencil")));
    EXPECT_TRUE(std::holds_alternative<UnknownUser>(check("nobody", "pencil")));
    EXPECT_TRUE(std::holds_alternative<Found>(check("sha", "secret")));
    EXPECT_TRUE(std::holds_alternative<Found>(check("crypt", "password"))) << "the default scheme is CRYPT";
    EXPECT_TRUE(std::holds_alternative<WrongPassword>(check("crypt", "secret")));
}

TEST_F(PasswdFileTest, WhoMayNotLogInGetsMailAllTheSame) {
    write("ada:{PLAIN}pencil::::::nologin\n");
    EXPECT_TRUE(std::holds_alternative<NotAllowed>(check("ada", "pencil")));
    EXPECT_TRUE(std::holds_alternative<WrongPassword>(check("ada", "quill")));
    EXPECT_TRUE(std::holds_alternative<Found>(source->find("ada")));
    EXPECT_TRUE(std::holds_alternative<UnknownUser>(source->find("eve")));
}

TEST_F(PasswdFileTest, ItIsReadAgainWhenItChanges) {
    write("ada:{PLAIN}pencil\n");
    EXPECT_TRUE(std::holds_alternative<Found>(check("ada", "pencil")));
    write("ada:{PLAIN}quilll\n");
    EXPECT_TRUE(std::holds_alternative<WrongPassword>(check("ada", "pencil")));
    EXPECT_TRUE(std::holds_alternative<Found>(check("ada", "quilll")));
}

TEST_F(PasswdFileTest, AFileThatIsMissingOrEmptyIsAnOutage) {
    EXPECT_TRUE(std::holds_alternative<Outage>(check("ada", "pencil")));
    EXPECT_TRUE(std::holds_alternative<Outage>(source->find("ada")));
    write("# nobody yet\n");
    EXPECT_TRUE(std::holds_alternative<Outage>(source->find("ada")));
    write("ada:{PLAIN}pencil\n");
    EXPECT_TRUE(std::holds_alternative<Found>(check("ada", "pencil")));
    std::filesystem::remove(settings.passwd_file.file);
    EXPECT_TRUE(std::holds_alternative<Outage>(check("ada", "pencil")));
}

TEST_F(PasswdFileTest, ABrokenLineIsToldByItsNumberAndTheOthersCount) {
    log::Options options;
    options.file = (folder / "log").string();
    options.recent_lines_max = 100;
    log::configure(options);
    write("bob:{PLAIN}ink\nbad name!:{PLAIN}pencil\nbob:{PLAIN}later\n");
    EXPECT_TRUE(std::holds_alternative<Found>(check("bob", "ink")));
    std::string text;
    for (const std::string& line : log::recent_lines())
        text += line + "\n";
    log::configure({});
    EXPECT_NE(text.find("line=2"), std::string::npos) << text;
    EXPECT_NE(text.find("line=3"), std::string::npos) << text;
    EXPECT_EQ(text.find("pencil"), std::string::npos) << text;
    EXPECT_EQ(text.find("bad name"), std::string::npos) << text;
}

TEST_F(PasswdFileTest, AStoredPasswordThatNobodyCanReadIsAnOutage) {
    write("ada:{ROT13}crapvy\n");
    const Answer answer = check("ada", "pencil");
    ASSERT_TRUE(std::holds_alternative<Outage>(answer));
    EXPECT_EQ(std::get<Outage>(answer).text.find("crapvy"), std::string::npos);
}

}  // namespace
}  // namespace pier::backends
