// Files of series: damaged, full, of other names.
#include "watch/history.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace pier::watch {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::minutes;

const Time start = Time(hours(24 * 365 * 56));

class HistoryFolder : public testing::Test {
  protected:
    HistoryFolder() {
        std::string pattern = (fs::temp_directory_path() / "pier-history-XXXXXX").string();
        folder = ::mkdtemp(pattern.data());
    }
    ~HistoryFolder() override { fs::remove_all(folder); }

    std::unique_ptr<History> open(std::size_t series_max = 200) {
        auto history = History::open(folder, {.series_max = series_max});
        EXPECT_TRUE(history) << history.error().text;
        return std::move(*history);
    }
    void overwrite(std::string_view series, std::streamoff at, std::string_view octets) {
        std::fstream file(folder + "/" + history_file_name(series),
                          std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(at);
        file.write(octets.data(), static_cast<std::streamsize>(octets.size()));
    }
    std::size_t count(const History& history, std::string_view series) {
        const auto points = history.points(series, start, start + hours(1), start + hours(1), 1000);
        return points ? points->size() : 0;
    }

    std::string folder;
};

TEST_F(HistoryFolder, IsThereAfterARestart) {
    {
        auto history = open();
        for (int i = 0; i < 10; ++i)
            ASSERT_TRUE(history->add("probe.pop3.login_s", i, start + minutes(i)));
    }
    auto history = open();
    EXPECT_EQ(history->series(), std::vector<std::string>{"probe.pop3.login_s"});
    EXPECT_EQ(count(*history, "probe.pop3.login_s"), 10u);
}

TEST_F(HistoryFolder, AFileHasItsSizeFromTheStart) {
    auto history = open();
    ASSERT_TRUE(history->add("a", 1, start));
    const std::string file = folder + "/a.rings";
    EXPECT_EQ(fs::file_size(file), history_file_octets);
    for (int i = 0; i < 5000; ++i)
        ASSERT_TRUE(history->add("a", 1, start + hours(i)));
    EXPECT_EQ(fs::file_size(file), history_file_octets);
    EXPECT_EQ(static_cast<unsigned>(fs::status(file).permissions()), 0600u);
}

TEST_F(HistoryFolder, ATornSlotIsLostAlone) {
    {
        auto history = open();
        for (int i = 0; i < 10; ++i)
            ASSERT_TRUE(history->add("a", i, start + minutes(i)));
    }
    const auto minute = start.time_since_epoch() / minutes(1);
    const auto place = static_cast<std::size_t>(minute + 9) % resolutions[0].slots;
    overwrite("a", static_cast<std::streamoff>(history_header_octets + place * slot_octets + 10), "torn");
    auto history = open();
    EXPECT_EQ(count(*history, "a"), 9u);
    ASSERT_TRUE(history->add("a", 9, start + minutes(9)));
    EXPECT_EQ(count(*history, "a"), 10u);
}

TEST_F(HistoryFolder, ADamagedHeadBeginsTheSeriesAnew) {
    ASSERT_TRUE(open()->add("a", 1, start));
    overwrite("a", 9, "\x55");
    auto history = open();
    EXPECT_TRUE(history->series().empty());
    ASSERT_TRUE(history->add("a", 1, start + minutes(1)));
    EXPECT_EQ(count(*history, "a"), 1u);
}

TEST_F(HistoryFolder, AShortFileBeginsTheSeriesAnew) {
    ASSERT_TRUE(open()->add("a", 1, start));
    for (const std::uintmax_t size :
         {std::uintmax_t{0}, std::uintmax_t{100}, std::uintmax_t{history_header_octets},
          std::uintmax_t{history_file_octets - 1}}) {
        fs::resize_file(folder + "/a.rings", size);
        auto history = open();
        EXPECT_TRUE(history->series().empty()) << size;
        ASSERT_TRUE(history->add("a", 1, start)) << size;
    }
}

TEST_F(HistoryFolder, WhatAPowerFailureLeftUnfinishedIsNoSeries) {
    std::ofstream(folder + "/a.rings.new") << "half";
    std::ofstream(folder + "/notes.txt") << "not ours";
    auto history = open();
    EXPECT_TRUE(history->series().empty());
    ASSERT_TRUE(history->add("a", 1, start));
    EXPECT_EQ(count(*history, "a"), 1u);
    EXPECT_TRUE(fs::exists(folder + "/notes.txt"));
}

TEST_F(HistoryFolder, TheNumberOfSeriesIsBounded) {
    auto history = open(3);
    for (const char* name : {"a", "b"})
        ASSERT_TRUE(history->add(name, 1, start));
    ASSERT_TRUE(history->add("c", 1, start));
    EXPECT_EQ(history->add("d", 1, start).error().kind, ErrorKind::busy);
    ASSERT_TRUE(history->add("a", 2, start));
    ASSERT_TRUE(history->remove("b"));
    EXPECT_FALSE(fs::exists(folder + "/b.rings"));
    EXPECT_TRUE(history->add("d", 1, start));
    EXPECT_EQ(history->remove("b").error().kind, ErrorKind::not_found);
    EXPECT_EQ(history->points("b", start, start, start, 1).error().kind, ErrorKind::not_found);
}

TEST_F(HistoryFolder, NamesOfSeriesAreBounded) {
    auto history = open();
    const std::string longest(series_name_octets_max, '/');
    EXPECT_TRUE(history->add(longest.substr(1), 1, start));
    EXPECT_TRUE(history->add(longest, 1, start));
    for (const std::string& bad : {std::string(), longest + "/", std::string("a b"), std::string("a\nb"),
                                   std::string("a\0b", 3), std::string("\xC3\xA4")})
        EXPECT_EQ(history->add(bad, 1, start).error().kind, ErrorKind::invalid) << bad;
    EXPECT_EQ(open()->series().size(), 2u);
}

TEST(HistoryNames, LeadToOneFileInTheFolderAndBack) {
    for (const std::string series :
         {"a", "probe.mail.example.org:995/login_s", "..", "../../etc/passwd", "%41", "[::1]:110"}) {
        const std::string file = history_file_name(series);
        EXPECT_EQ(file.find('/'), std::string::npos);
        EXPECT_NE(file.front(), '.');
        EXPECT_EQ(history_series_of(file), series);
    }
    for (const char* bad :
         {"a", ".rings", "%4.rings", "%41.rings", "%2f.rings", "a%20b.rings", "%.rings", "a.rings.new"})
        EXPECT_EQ(history_series_of(bad), "") << bad;
}

}  // namespace
}  // namespace pier::watch
