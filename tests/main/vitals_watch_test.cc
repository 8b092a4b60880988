// What a server's readings of itself mean.
#include "main/vitals_watch.h"

#include <gtest/gtest.h>

#include "watch/alerts.h"

namespace pier::program {
namespace {

using namespace std::chrono_literals;

constexpr Time start{std::chrono::hours(24 * 365 * 50)};
constexpr double gib = 1 << 30;

class VitalsTest : public ::testing::Test {
  protected:
    // The severity that is told of a key in the next look: "-" of one that is well, "?" of one that was not
    // looked at.
    std::string look(const std::string& key) {
        readings.at += vitals_pause;
        for (const watch::Observation& one : signs.judge(readings)) {
            EXPECT_EQ(one.group, "mail.example.org");
            EXPECT_FALSE(one.what.empty()) << one.key;
            EXPECT_EQ(one.severity.has_value(), !one.step.empty()) << one.key;
            if (one.key == key) return one.severity ? std::string(watch::to_string(*one.severity)) : "-";
        }
        return "?";
    }

    AlertsConfig rules = [] {
        AlertsConfig all;
        all.queue_age = std::chrono::hours(4);
        return all;
    }();
    VitalSigns signs{rules, "mail.example.org", false};
    VitalReadings readings = [] {
        VitalReadings now;
        now.at = start;
        return now;
    }();
};

TEST_F(VitalsTest, ADiskThatFillsUpIsToldAndOneThatIsOnTheEdgeDoesNotFlap) {
    readings.disk = {50 * gib, 100 * gib};
    EXPECT_EQ(look("disk.free"), "-");
    readings.disk = {9.9 * gib, 100 * gib};
    EXPECT_EQ(look("disk.free"), "warning");
    readings.disk = {10.5 * gib, 100 * gib};
    EXPECT_EQ(look("disk.free"), "warning");
    readings.disk = {2 * gib, 100 * gib};
    EXPECT_EQ(look("disk.free"), "critical");
    readings.disk = {11.5 * gib, 100 * gib};
    EXPECT_EQ(look("disk.free"), "-");
    readings.disk.reset();
    EXPECT_EQ(look("disk.free"), "?");
}

TEST_F(VitalsTest, ADiskThatDoesNotAnswerIsCritical) {
    EXPECT_FALSE(signs.judge_disk_answers(true, start).severity);
    EXPECT_EQ(signs.judge_disk_answers(false, start).severity, watch::Severity::critical);
}

TEST_F(VitalsTest, AQueueIsTooLongGrowsOrIsTooOld) {
    EXPECT_EQ(look("queue.messages"), "?");
    readings.queue = VitalReadings::Queue{400, {}};
    EXPECT_EQ(look("queue.messages"), "-");
    EXPECT_EQ(look("queue.growth"), "-");
    readings.queue->messages = 950;
    EXPECT_EQ(look("queue.growth"), "warning");
    EXPECT_EQ(look("queue.messages"), "-");
    readings.queue->messages = 1000;
    EXPECT_EQ(look("queue.messages"), "warning");
    readings.queue->messages = 800;
    EXPECT_EQ(look("queue.messages"), "warning");
    readings.queue->messages = 700;
    EXPECT_EQ(look("queue.messages"), "-");
    // What has not grown for ten minutes does not grow.
    for (int i = 0; i < 61; ++i)
        look("queue.growth");
    EXPECT_EQ(look("queue.growth"), "-");
    readings.queue->oldest = readings.at - 3h;
    EXPECT_EQ(look("queue.age"), "-");
    readings.queue->oldest = readings.at - 5h;
    EXPECT_EQ(look("queue.age"), "warning");
}

TEST_F(VitalsTest, GuessingIsToldByItsRate) {
    readings.failed_logins = 5000;
    EXPECT_EQ(look("guard.guessing"), "-");
    // Ten in each look: 60 within a minute.
    std::string last;
    for (int i = 0; i < 6; ++i) {
        readings.failed_logins += 10;
        last = look("guard.guessing");
    }
    EXPECT_EQ(last, "warning");
    for (int i = 0; i < 7; ++i)
        last = look("guard.guessing");
    EXPECT_EQ(last, "-");
    readings.blocks += 10;
    EXPECT_EQ(look("guard.blocks"), "warning");
}

TEST_F(VitalsTest, WhomNobodyAsksNobodyKnowsAnythingOf) {
    readings.filter = {10, true};
    readings.back_ends = {{"ldap", false, 10, 3}};
    EXPECT_EQ(look("filter.answers"), "?");
    EXPECT_EQ(look("filter.answers"), "?");
    EXPECT_EQ(look("backend.ldap.answers"), "?");
    ++readings.filter->asked;
    EXPECT_EQ(look("filter.answers"), "warning");
    ++readings.back_ends[0].asked;
    ++readings.back_ends[0].outages;
    EXPECT_EQ(look("backend.ldap.answers"), "critical");
    EXPECT_EQ(look("backend.ldap.answers"), "?");
    ++readings.back_ends[0].asked;
    EXPECT_EQ(look("backend.ldap.answers"), "-");
    readings.back_ends[0].gone = true;
    EXPECT_EQ(look("backend.ldap.answers"), "critical");
    readings.filter = {12, false};
    EXPECT_EQ(look("filter.answers"), "-");
}

TEST_F(VitalsTest, OwnCertificatesHaveProblems) {
    readings.certificates = VitalReadings::Certificates{};
    EXPECT_EQ(look("certificate.own"), "-");
    readings.certificates->problems = {"the certificate x ends in 5 days; renew it"};
    EXPECT_EQ(look("certificate.own"), "warning");
    readings.certificates->usable = false;
    EXPECT_EQ(look("certificate.own"), "critical");
}

TEST_F(VitalsTest, AQuietDayIsADayWithoutANotice) {
    watch::Alerts alerts({});
    std::size_t told = 0;
    for (int i = 0; i < 24 * 360; ++i) {
        readings.at += vitals_pause;
        readings.disk = {(30 + i % 7) * gib, 100 * gib};
        readings.queue = VitalReadings::Queue{static_cast<std::uint64_t>(i % 90), readings.at - 1h};
        readings.failed_logins += i % 5 == 0 ? 3 : 0;
        readings.blocks += i % 360 == 0 ? 1 : 0;
        // One question in an hour is not answered.
        readings.filter = {static_cast<std::uint64_t>(i), i % 360 == 17};
        readings.back_ends = {
            {"sql", false, static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(i / 360)}};
        for (const watch::Observation& one : signs.judge(readings))
            alerts.observe(one, readings.at);
        told += alerts.due(readings.at).size();
    }
    EXPECT_EQ(told, 0u);
    EXPECT_TRUE(alerts.list().empty());
}

}  // namespace
}  // namespace pier::program
