// Alerts of a running server, without one: the clock is a variable, and the channels write down what they
// get.
#include "main/alerting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/temporary_folder.h"

namespace pier::program {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Time start{std::chrono::hours(24 * 365 * 50)};

// What was sent, as "raised port;".
struct Heard {
    std::vector<std::string> notices;
};

class FakeChannels final : public AlertChannels {
  public:
    FakeChannels(std::string name, ChannelKind kind, Heard& heard)
        : name_(std::move(name)), kind_(kind), heard_(heard) {}
    ~FakeChannels() override = default;
    void start(SendMail) override {}
    void stop() override {}
    void send(const watch::Notice& notice, Time) override {
        std::string text;
        for (const watch::Transition& one : notice.transitions)
            text += std::string(watch::to_string(one.change)) + " " + one.alert.key + ";";
        heard_.notices.push_back(text);
    }
    Result<std::vector<Tried>> test(const std::string& channel, Time) override {
        if (!channel.empty() && channel != name_) return Error(ErrorKind::not_found, "no channel " + channel);
        return std::vector<Tried>{{name_, {}}};
    }
    std::vector<State> states() const override {
        State state;
        state.name = name_;
        state.kind = kind_;
        return {state};
    }

  private:
    const std::string name_;
    const ChannelKind kind_;
    Heard& heard_;
};

watch::Observation ill(std::string key, unsigned looks = 1) {
    watch::Observation one;
    one.key = std::move(key);
    one.group = "here";
    one.severity = watch::Severity::critical;
    one.what = "it is ill";
    one.looks = looks;
    one.at = start;
    return one;
}

watch::Observation well(const std::string& key) {
    watch::Observation one = ill(key);
    one.severity.reset();
    return one;
}

class AlertingTest : public ::testing::Test {
  protected:
    std::unique_ptr<Alerting> make() {
        Alerting::Settings settings;
        settings.file = folder.path() + "/alerts.json";
        AlertWays ways;
        ways.people = std::make_unique<FakeChannels>("page", ChannelKind::command, people);
        ways.alertmanagers = std::make_unique<FakeChannels>("am", ChannelKind::alertmanager, alertmanager);
        return std::make_unique<Alerting>(std::move(settings), std::move(ways), [this] { return now; });
    }
    void pass(std::chrono::seconds time) {
        for (std::chrono::seconds gone{0}; gone < time; ++gone) {
            now += 1s;
            alerting->tick();
        }
    }

    test::TemporaryFolder folder;
    Time now = start;
    Heard people, alertmanager;
    std::unique_ptr<Alerting> alerting = make();
};

TEST_F(AlertingTest, WhatIsObservedIsToldWithinFiveSeconds) {
    alerting->observe(ill("port"));
    pass(4s);
    EXPECT_THAT(people.notices, ElementsAre("raised port;"));
    alerting->observe(well("port"));
    pass(4s);
    EXPECT_THAT(people.notices, ElementsAre("raised port;", "resolved port;"));
    EXPECT_THAT(alerting->list(), IsEmpty());
}

TEST_F(AlertingTest, AlertmanagerHearsAgainWhatIsStillIllAndPeopleDoNot) {
    alerting->observe(ill("port"));
    pass(4s);
    ASSERT_TRUE(alerting->acknowledge("port", "ada", {}));
    alertmanager.notices.clear();
    pass(alertmanager_refresh + 2s);
    EXPECT_THAT(alertmanager.notices, ElementsAre("reminder port;"));
    EXPECT_THAT(people.notices, ElementsAre("raised port;"));
    pass(alertmanager_resolve_after);
    EXPECT_GE(alertmanager.notices.size(), 3u);
}

TEST_F(AlertingTest, ARestartTellsNothingAgain) {
    alerting->observe(ill("port"));
    pass(10s);
    ASSERT_TRUE(alerting->acknowledge("port", "ada", 1h));
    pass(10s);
    people.notices.clear();
    alerting = make();
    alerting->observe(ill("port"));
    pass(30s);
    EXPECT_THAT(people.notices, IsEmpty());
    ASSERT_EQ(alerting->list().size(), 1u);
    ASSERT_TRUE(alerting->list().front().acknowledged);
    EXPECT_EQ(alerting->list().front().acknowledged->by, "ada");
}

TEST_F(AlertingTest, ItIsTriedThroughEachChannelOrOne) {
    const auto all = alerting->test("");
    ASSERT_TRUE(all);
    EXPECT_EQ(all->size(), 2u);
    const auto one = alerting->test("am");
    ASSERT_TRUE(one);
    ASSERT_EQ(one->size(), 1u);
    EXPECT_EQ(one->front().channel, "am");
    EXPECT_EQ(alerting->test("other").error().kind, ErrorKind::not_found);
    EXPECT_EQ(alerting->channels().size(), 2u);
    const Alerting alone({}, {}, [this] { return now; });
    EXPECT_THAT(alone.channels(), IsEmpty());
}

TEST_F(AlertingTest, ObservationsThatWaitAreBounded) {
    for (std::size_t i = 0; i < observations_waiting_max + 3; ++i)
        alerting->observe(well("port"));
    EXPECT_EQ(alerting->dropped(), 3u);
    pass(1s);
    alerting->observe(ill("port"));
    pass(4s);
    EXPECT_THAT(people.notices, ElementsAre("raised port;"));
}

TEST_F(AlertingTest, WithAThreadItStartsAndStops) {
    alerting->start({});
    alerting->observe(ill("port"));
    alerting->stop();
    alerting->stop();
}

}  // namespace
}  // namespace pier::program
