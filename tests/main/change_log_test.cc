#include "main/change_log.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "main/setup_facts.h"
#include "store/temporary_folder.h"

namespace pier::program {
namespace {

const Time noon = *parse_day("2026-11-30") + std::chrono::hours(12);

Change a_change(std::string subject) {
    return {.at = noon,
            .what = "account",
            .subject = std::move(subject),
            .by = "account.change",
            .who = {1000, 77, "ada"},
            .differences = {{"master", "no", "yes"}, {"app_password[phone]", std::nullopt, "for pop3"}}};
}

class ChangeLogs : public ::testing::Test {
  protected:
    ChangeLog open() { return ChangeLog(folder_.path() + "/changes"); }
    std::string file(const char* name) { return folder_.path() + "/changes/" + name; }
    test::TemporaryFolder folder_;
};

TEST_F(ChangeLogs, NothingIsKeptBeforeTheFirst) {
    const auto kept = open().read();
    ASSERT_TRUE(kept);
    EXPECT_TRUE(kept->changes.empty());
    EXPECT_FALSE(std::filesystem::exists(file("")));
}

TEST_F(ChangeLogs, WhatIsAppendedIsRead) {
    ASSERT_TRUE(open().append(a_change("ada")));
    ASSERT_TRUE(open().append(a_change("bob")));
    const auto kept = open().read();
    ASSERT_TRUE(kept);
    ASSERT_EQ(kept->changes.size(), 2u);
    const Change& one = kept->changes.front();
    EXPECT_EQ(one.at, noon);
    EXPECT_EQ(one.what, "account");
    EXPECT_EQ(one.subject, "ada");
    EXPECT_EQ(one.by, "account.change");
    EXPECT_EQ(one.who, (admin::Caller{1000, 77, "ada"}));
    EXPECT_EQ(one.differences, a_change("ada").differences);
    EXPECT_EQ(kept->changes.back().subject, "bob");
}

TEST_F(ChangeLogs, AWriteThatWasCutOffCostsOnlyItself) {
    ASSERT_TRUE(open().append(a_change("ada")));
    std::filesystem::resize_file(file("changes.jsonl"),
                                 std::filesystem::file_size(file("changes.jsonl")) - 9);
    ASSERT_TRUE(open().append(a_change("bob")));
    const auto kept = open().read();
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->unreadable, 1u);
    ASSERT_EQ(kept->changes.size(), 1u);
    EXPECT_EQ(kept->changes[0].subject, "bob");
}

TEST_F(ChangeLogs, TheOldestGoWhenThereAreTooMany) {
    ChangeLog log = open();
    ASSERT_TRUE(log.append(a_change("first")));
    const std::string filler(ChangeLog::file_octets_max - 300, '\n');
    for (int round = 0; round < 2; ++round) {
        std::ofstream(file("changes.jsonl"), std::ios::app) << filler;
        ASSERT_TRUE(log.append(a_change(fmt::format("round {}", round))));
        EXPECT_LE(std::filesystem::file_size(file("changes.1.jsonl")), ChangeLog::file_octets_max);
    }
    const auto kept = log.read();
    ASSERT_TRUE(kept) << kept.error().text;
    ASSERT_EQ(kept->changes.size(), 2u);
    EXPECT_EQ(kept->changes[0].subject, "round 0");
    EXPECT_EQ(kept->changes[1].subject, "round 1");
}

TEST_F(ChangeLogs, TextsAndNumbersAreBounded) {
    Change large = a_change(std::string(5000, 'x') + "\x1b[2J");
    large.differences.assign(differences_max + 5, {"key", std::string(3000, 'y'), "\x1b[31mred"});
    ASSERT_TRUE(open().append(large));
    const auto kept = open().read();
    ASSERT_TRUE(kept);
    ASSERT_EQ(kept->changes.size(), 1u);
    EXPECT_LE(kept->changes[0].subject.size(), change_text_octets_max + 3);
    EXPECT_EQ(kept->changes[0].differences.size(), differences_max);
    EXPECT_EQ(kept->changes[0].left_out, 5u);
    EXPECT_EQ(kept->changes[0].differences[0].after->find('\x1b'), std::string::npos);
}

TEST_F(ChangeLogs, WhatIsComparedIsToldOnceAndRemembered) {
    const Change start{.at = noon, .what = "listeners", .by = "start"};
    ASSERT_TRUE(open().compare(start, {{"pop3", "127.0.0.1:110"}}));
    ASSERT_TRUE(open().compare(start, {{"pop3", "127.0.0.1:110"}}));
    auto kept = open().read();
    ASSERT_TRUE(kept);
    ASSERT_EQ(kept->changes.size(), 1u) << "what is known at first is noted, and the same again is not";
    EXPECT_EQ(kept->changes[0].note, "what is known from here on");
    EXPECT_TRUE(kept->changes[0].differences.empty());

    ASSERT_TRUE(open().compare(start, {{"pop3", "127.0.0.1:111"}, {"smtp", "127.0.0.1:25"}}));
    kept = open().read();
    ASSERT_TRUE(kept);
    ASSERT_EQ(kept->changes.size(), 2u);
    EXPECT_EQ(kept->changes[1].differences,
              (std::vector<Difference>{{"pop3", "127.0.0.1:110", "127.0.0.1:111"},
                                       {"smtp", std::nullopt, "127.0.0.1:25"}}));
}

TEST_F(ChangeLogs, DamagedMemoryBeginsAnew) {
    const Change start{.at = noon, .what = "listeners", .by = "start"};
    ASSERT_TRUE(open().compare(start, {{"pop3", "a"}}));
    std::ofstream(file("known.json")) << "{\"key\":7";
    ASSERT_TRUE(open().compare(start, {{"pop3", "b"}}));
    ASSERT_TRUE(open().compare(start, {{"pop3", "c"}}));
    const auto kept = open().read();
    ASSERT_TRUE(kept);
    ASSERT_EQ(kept->changes.size(), 3u);
    EXPECT_TRUE(kept->changes[1].differences.empty());
    EXPECT_EQ(kept->changes[2].differences, (std::vector<Difference>{{"pop3", "b", "c"}}));
}

TEST_F(ChangeLogs, TheKeyStaysTheSame) {
    const std::string key = *open().key();
    ChangeLog log = open();
    const std::string one = *log.key();
    ASSERT_TRUE(log.compare({.at = noon, .what = "listeners"}, {}));
    EXPECT_EQ(*log.key(), one);
    EXPECT_EQ(*open().key(), one);
    EXPECT_EQ(key.size(), 64u);
}

TEST(Changes, LinesThatAreNoneAreRefused) {
    for (const char* line :
         {"", "7", "[]", "{}", R"({"at":"2026-11-30T12:00:00Z"})", R"({"at":"yesterday","what":"account"})",
          R"({"at":"2026-11-30T24:00:00Z","what":"account"})",
          R"({"at":"2026-11-30T12:00:00Z","what":"account","differences":7})",
          R"({"at":"2026-11-30T12:00:00Z","what":"account","differences":[7]})"})
        EXPECT_FALSE(parse_change(line)) << line;
    const auto least = parse_change(R"({"at":"2026-11-30T12:00:00Z","what":"account","user":-1})");
    ASSERT_TRUE(least);
    EXPECT_EQ(least->at, noon);
    EXPECT_FALSE(least->who.user);
}

TEST(SetupFacts, EveryValueStandsUnderItsName) {
    Config config;
    config.listeners.push_back({.name = "inside"});
    config.listeners.push_back({.name = "inside", .port = 111});
    finish(config);
    const Facts facts = configuration_facts(config, std::string(64, 'k'));
    EXPECT_EQ(facts.at("pop3.exclusive"), "false");
    EXPECT_EQ(facts.at("listener[inside].port"), "110");
    EXPECT_EQ(facts.at("listener[inside]#2.port"), "111");
    Config other = config;
    other.pop3.exclusive = true;
    other.listeners.pop_back();
    const auto found = differences(facts, configuration_facts(other, std::string(64, 'k')));
    EXPECT_NE(std::find(found.begin(), found.end(), Difference{"pop3.exclusive", "false", "true"}),
              found.end());
    EXPECT_NE(
        std::find(found.begin(), found.end(), Difference{"listener[inside]#2.port", "111", std::nullopt}),
        found.end());
}

TEST(SetupFacts, OfSecretsOnlyThatTheyAreOthers) {
    Config config;
    config.alerts.channels.resize(1);
    config.alerts.channels[0].kind = ChannelKind::webhook;
    config.alerts.channels[0].url = "https://hooks.example/T0KEN";
    config.backends.resize(1);
    config.backends[0].sql.connection = "host=db password=geheim";
    const std::string key(64, 'k');
    const Facts before = configuration_facts(config, key);
    config.alerts.channels[0].url = "https://hooks.example/0THER";
    const Facts after = configuration_facts(config, key);
    for (const Facts* facts : {&before, &after})
        for (const auto& [name, value] : *facts)
            for (const char* secret : {"T0KEN", "0THER", "geheim"})
                EXPECT_EQ(value.find(secret), std::string::npos) << name;
    EXPECT_EQ(differences(before, after),
              (std::vector<Difference>{{"alerts.channel[webhook].url", "(secret)", "(another secret)"}}));
    EXPECT_NE(configuration_facts(config, std::string(64, 'l')), after) << "the hash has a key";
}

}  // namespace
}  // namespace pier::program
