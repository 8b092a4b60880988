// What alerts are told of a look: each thing that could be seen, also when it is well.
#include "watch/observed.h"

#include <fstream>
#include <regex>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "watch/figures.h"

namespace pier::watch {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

const Time now = Time(std::chrono::hours(24 * 20'000));

Probe good() {
    Probe probe;
    probe.target = {"mail.example.org", 995, Protocol::pop3, TlsMode::implicit, ""};
    probe.begun = now;
    probe.address = "192.0.2.1";
    probe.total = std::chrono::milliseconds(40);
    probe.phases = {{"resolve", std::chrono::milliseconds(1)},
                    {"connect", std::chrono::milliseconds(2)},
                    {"tls", std::chrono::milliseconds(20)},
                    {"greeting", std::chrono::milliseconds(3)}};
    probe.seen.greeting = "hello";
    TlsFacts tls;
    tls.name_matches = true;
    tls.chain.resize(1);
    tls.chain[0].not_after = now + std::chrono::hours(24 * 61);
    probe.tls = tls;
    return probe;
}

Finding finding(Severity severity, const std::string& code) {
    return {severity, code, "It is " + code, "seen", "mend it"};
}

std::vector<std::string> keys(const std::vector<Observation>& all, bool ill) {
    std::vector<std::string> found;
    for (const Observation& one : all)
        if (one.severity.has_value() == ill) found.push_back(one.key);
    return found;
}

const Observation& of(const std::vector<Observation>& all, const std::string& key) {
    for (const Observation& one : all)
        if (one.key == key) return one;
    throw std::runtime_error("no observation " + key);
}

TEST(Observed, AServerThatIsWellIsToldOfInEveryThingThatWasLookedAt) {
    const auto all = observations_of(good(), {.group = "mail.example.org"});
    EXPECT_TRUE(keys(all, true).empty());
    const auto well = keys(all, false);
    for (const char* thing : {"reachable", "certificate", "greeting_failed", "tls_failed", "dialogue_failed",
                              "certificate_wrong_name", "weak_key", "slow", "clear_login", "no_tls"})
        EXPECT_THAT(well, Contains(std::string("port.mail.example.org:995.") + thing));
    for (const char* thing : {"login_refused", "open_relay", "old_tls", "weak_cipher", "latency"})
        EXPECT_THAT(well, Not(Contains(std::string("port.mail.example.org:995.") + thing)))
            << "it was not looked at";
    EXPECT_EQ(of(all, "port.mail.example.org:995.certificate").what,
              "mail.example.org:995: the certificate is good for 61 days");
    for (const Observation& one : all) {
        EXPECT_EQ(one.group, "mail.example.org");
        EXPECT_EQ(one.at, now);
        EXPECT_EQ(one.key.find_first_of(" \n"), std::string::npos);
        EXPECT_THAT(one.what, HasSubstr("mail.example.org:995: "));
    }
}

TEST(Observed, AThoroughLookWithALoginTellsOfTheseToo) {
    const auto all = observations_of(good(), {.thorough = true, .login = true, .group = ""});
    for (const char* thing : {"login_refused", "login_not_tried", "open_relay", "old_tls", "weak_cipher"})
        EXPECT_THAT(keys(all, false), Contains(std::string("port.mail.example.org:995.") + thing));
}

TEST(Observed, OfAServerThatIsNotReachedNothingElseIsKnown) {
    Probe probe = good();
    probe.address.clear();
    probe.tls.reset();
    probe.failure = Failure{"connect", "Connection refused"};
    probe.findings = {{Severity::critical, "unreachable", "mail.example.org:995 is not reached",
                       "Connection refused", "Start it."}};
    const auto all = observations_of(probe, {.thorough = true, .login = true, .group = ""});
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].key, "port.mail.example.org:995.reachable");
    EXPECT_EQ(all[0].severity, Severity::critical);
    EXPECT_EQ(all[0].what, "mail.example.org:995 is not reached");
    EXPECT_EQ(all[0].evidence, "Connection refused");
    EXPECT_EQ(all[0].step, "Start it.");
    EXPECT_EQ(all[0].looks, 2u);
    EXPECT_TRUE(is_doubtful(all));
}

TEST(Observed, WhatALookDidNotGetToIsNotToldOf) {
    Probe probe = good();
    probe.tls.reset();
    probe.seen.greeting.clear();
    probe.failure = Failure{"greeting", "silence"};
    probe.findings = {finding(Severity::critical, "greeting_failed")};
    const auto all = observations_of(probe, {.thorough = true, .login = true, .group = ""});
    EXPECT_EQ(keys(all, true), std::vector<std::string>{"port.mail.example.org:995.greeting_failed"});
    EXPECT_EQ(keys(all, false), std::vector<std::string>{"port.mail.example.org:995.reachable"});
}

TEST(Observed, ExpiredAndExpiringAreOneThing) {
    Probe probe = good();
    for (const char* code : {"certificate_expired", "certificate_expires"}) {
        probe.findings = {finding(Severity::critical, code)};
        const auto all = observations_of(probe, {.group = ""});
        EXPECT_EQ(keys(all, true), std::vector<std::string>{"port.mail.example.org:995.certificate"});
        EXPECT_EQ(of(all, "port.mail.example.org:995.certificate").looks, 1u);
        EXPECT_FALSE(is_doubtful(all)) << "one look is proof";
    }
}

TEST(Observed, SeveralFindingsOfACodeAreOneObservation) {
    Probe probe = good();
    probe.findings = {finding(Severity::critical, "slow"), finding(Severity::warning, "slow"),
                      finding(Severity::warning, "slow")};
    const auto all = observations_of(probe, {.group = ""});
    const Observation& slow = of(all, "port.mail.example.org:995.slow");
    EXPECT_EQ(slow.severity, Severity::critical);
    EXPECT_EQ(slow.evidence, "seen; and 2 more of that kind");
    EXPECT_EQ(slow.what, "mail.example.org:995: It is slow");
}

TEST(Observed, LatencyIsToldWhereTheUsualIsKnown) {
    LookedFor how{.group = "", .usual_s = 0.04};
    Probe probe = good();
    const std::string key = "port.mail.example.org:995.latency";
    EXPECT_FALSE(of(observations_of(probe, how), key).severity);
    probe.total = std::chrono::milliseconds(289);
    EXPECT_FALSE(of(observations_of(probe, how), key).severity);
    probe.total = std::chrono::milliseconds(290);
    const auto all = observations_of(probe, how);
    EXPECT_EQ(of(all, key).severity, Severity::warning);
    EXPECT_EQ(of(all, key).looks, 3u);
    EXPECT_THAT(of(all, key).evidence, HasSubstr("0.290 s"));
    EXPECT_FALSE(is_doubtful(all)) << "three usual looks in a row say it";
    // What only thorough looks do is not held against the server.
    probe.phases.push_back({"relay", std::chrono::milliseconds(200)});
    EXPECT_FALSE(of(observations_of(probe, how), key).severity);
    probe.failure = Failure{"quit", "gone"};
    EXPECT_THAT(keys(observations_of(probe, how), false), Not(Contains(key)));
}

TEST(Observed, ThoroughFindingsAreKnownAsSuch) {
    Probe probe = good();
    probe.findings = {finding(Severity::note, "weak_cipher"), finding(Severity::critical, "slow")};
    EXPECT_FALSE(has_thorough_finding(probe));
    probe.findings.push_back(finding(Severity::warning, "old_tls"));
    EXPECT_TRUE(has_thorough_finding(probe));
}

TEST(Observed, CanariesByHowFarTheyCame) {
    Canary canary;
    canary.begun = now;
    canary.findings = {finding(Severity::critical, "canary_not_sent")};
    auto all = observations_of(canary, "a:995", "mail.example.org");
    EXPECT_EQ(keys(all, true), std::vector<std::string>{"canary.a:995.not_sent"});
    EXPECT_TRUE(keys(all, false).empty());
    EXPECT_TRUE(is_doubtful(all));
    canary.sent = true;
    canary.findings = {finding(Severity::critical, "canary_lost")};
    all = observations_of(canary, "a:995", "mail.example.org");
    EXPECT_EQ(keys(all, true), std::vector<std::string>{"canary.a:995.lost"});
    EXPECT_EQ(keys(all, false), std::vector<std::string>{"canary.a:995.not_sent"});
    EXPECT_FALSE(is_doubtful(all)) << "it was waited for";
    canary.came = canary.unchanged = canary.deleted = true;
    canary.findings.clear();
    EXPECT_EQ(keys(observations_of(canary, "a:995", ""), false).size(), 5u);
}

// A finding that nobody observes would never be told.
TEST(Observed, EveryFindingThatIsDocumentedIsObserved) {
    const auto codes = finding_codes();
    const std::set<std::string_view> known(codes.begin(), codes.end());
    std::ifstream file(std::string(PIER_SOURCE_DIR) + "/docs/watch.md");
    ASSERT_TRUE(file);
    std::set<std::string> told;
    bool in_table = false;
    const std::regex code("`([a-z_]+)`");
    for (std::string line; std::getline(file, line);) {
        in_table = line.starts_with("| code | severity") || (in_table && line.starts_with('|'));
        if (!in_table) continue;
        const std::string cell = line.substr(0, line.find('|', 1));
        for (std::sregex_iterator at(cell.begin(), cell.end(), code), end; at != end; ++at)
            told.insert((*at)[1]);
    }
    EXPECT_GT(told.size(), 20u);
    for (const std::string& one : told)
        EXPECT_TRUE(known.contains(one)) << one;
    for (const std::string_view one : known)
        EXPECT_TRUE(told.contains(std::string(one))) << one;
}

TEST(Figures, OfAProbe) {
    std::set<std::string> names;
    for (const Figure& figure : figures_of(good()))
        names.insert(figure.series);
    const std::string prefix = "probe.mail.example.org:995.";
    EXPECT_EQ(names,
              (std::set<std::string>{prefix + "up", prefix + "total_s", prefix + "connect_s",
                                     prefix + "tls_s", prefix + "greeting_s", prefix + "certificate_days"}));
    Probe down = good();
    down.address.clear();
    down.failure = Failure{"connect", "refused"};
    const auto figures = figures_of(down);
    ASSERT_EQ(figures.size(), 1u);
    EXPECT_EQ(figures[0].series, prefix + "up");
    EXPECT_EQ(figures[0].value, 0);
}

TEST(Figures, LongNamesStayDistinctAndFit) {
    const std::string label(60, 'x');
    const Target one{label + ".example", 995, {}, {}, ""}, other{label + ".example", 110, {}, {}, ""};
    EXPECT_NE(series_of(one, "certificate_days"), series_of(other, "certificate_days"));
    EXPECT_LE(series_of(one, "certificate_days").size(), 80u);
    EXPECT_EQ(short_name("mail.example.org:995"), "mail.example.org:995");
    EXPECT_EQ(short_name(std::string(56, 'y')), std::string(56, 'y'));
    EXPECT_LT(short_name(std::string(57, 'y')).size(), 57u);
}

}  // namespace
}  // namespace pier::watch
