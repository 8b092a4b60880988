// The watcher at work, with looks that need no network.
#include "watch/watcher.h"

#include <cstdlib>
#include <filesystem>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

namespace pier::watch {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// What was observed; waits until there is something.
class Observed {
  public:
    void take(Observation one) {
        const std::lock_guard lock(mutex_);
        all_.push_back(std::move(one));
        changed_.notify_all();
    }
    // The severity of the n-th observation of that key.
    std::optional<Severity> wait_for(const std::string& key, std::size_t n = 1) {
        std::unique_lock lock(mutex_);
        std::optional<Severity> found;
        EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] {
            std::size_t seen = 0;
            for (const Observation& one : all_)
                if (one.key == key && ++seen == n) {
                    found = one.severity;
                    return true;
                }
            return false;
        })) << key;
        return found;
    }
    std::size_t count() {
        const std::lock_guard lock(mutex_);
        return all_.size();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Observation> all_;
};

Probe good_probe(const Target& target) {
    Probe probe;
    probe.target = target;
    probe.begun = system_now();
    probe.address = "192.0.2.1";
    probe.total = milliseconds(5);
    probe.seen.greeting = "hello";
    return probe;
}

Probe down_probe(const Target& target) {
    Probe probe = good_probe(target);
    probe.address.clear();
    probe.failure = Failure{"connect", "refused"};
    probe.findings = {{Severity::critical, "unreachable", "it is not reached", "", ""}};
    return probe;
}

// Readable within `time`?
bool stops(int fd, milliseconds time) {
    pollfd stop{fd, POLLIN, 0};
    return ::poll(&stop, 1, static_cast<int>(time.count())) == 1;
}

class WatcherTest : public testing::Test {
  protected:
    WatcherTest() {
        settings.rules.second_look = milliseconds(1);
        services.observe = [this](Observation one) { observed.take(std::move(one)); };
        services.looks.probe = [this](const Target& target, const TlsTrust&, const ProbeOptions& options) {
            return probe(target, options);
        };
        services.looks.canary = [](const Target&, const Target&, const TlsTrust&, const CanaryOptions&,
                                   const ProbeOptions&) -> Canary { return {}; };
    }
    void add(std::uint16_t port, bool own = false, milliseconds interval = milliseconds(20)) {
        WatchedPort one;
        one.target = {"192.0.2.1", port, Protocol::smtp, TlsMode::none, ""};
        one.rhythm = {interval, std::chrono::hours(24)};
        one.trust = std::make_shared<TlsTrust>();
        one.own = own;
        settings.ports.push_back(std::move(one));
    }
    Watcher& start() {
        watcher = std::make_unique<Watcher>(settings, services);
        watcher->start();
        return *watcher;
    }

    WatchSettings settings;
    WatchServices services;
    Observed observed;
    std::function<Probe(const Target&, const ProbeOptions&)> probe =
        [](const Target& target, const ProbeOptions&) { return good_probe(target); };
    std::unique_ptr<Watcher> watcher;
};

TEST_F(WatcherTest, LooksAgainAndAgainAndTellsEachTime) {
    add(25);
    add(26);
    std::atomic<int> thorough = 0, looking = 0;
    probe = [&](const Target& target, const ProbeOptions& options) {
        thorough += options.thorough;
        looking += options.look;
        return good_probe(target);
    };
    start();
    EXPECT_FALSE(observed.wait_for("port.192.0.2.1:25.reachable", 3));
    EXPECT_FALSE(observed.wait_for("port.192.0.2.1:26.reachable", 3));
    watcher->stop();
    EXPECT_EQ(thorough, 2) << "one of each port";
    EXPECT_EQ(looking, 2) << "SMTP servers are asked to relay once a day";
    const auto states = watcher->states();
    ASSERT_EQ(states.size(), 2u);
    EXPECT_TRUE(states[0].up);
    EXPECT_GE(states[0].looks, 3u);
    EXPECT_EQ(states[0].failed, 0u);
    EXPECT_EQ(states[0].total_s, 0.005);
}

TEST_F(WatcherTest, AnOutageIsSeenAndItsEnd) {
    add(25);
    std::atomic<bool> down = false;
    probe = [&](const Target& target, const ProbeOptions&) {
        return down ? down_probe(target) : good_probe(target);
    };
    start();
    EXPECT_FALSE(observed.wait_for("port.192.0.2.1:25.reachable"));
    down = true;
    std::size_t n = 2;
    while (!observed.wait_for("port.192.0.2.1:25.reachable", n))
        ++n;
    EXPECT_EQ(observed.wait_for("port.192.0.2.1:25.reachable", n + 1), Severity::critical);
    EXPECT_FALSE(watcher->states()[0].up);
    down = false;
    while (observed.wait_for("port.192.0.2.1:25.reachable", n))
        ++n;
    watcher->stop();
    EXPECT_TRUE(watcher->states()[0].up);
    EXPECT_GE(watcher->states()[0].failed, 2u);
}

// One that hangs holds one thread; the others go on.
TEST_F(WatcherTest, ASlowOneDelaysNobodyAndStopEndsItAtOnce) {
    add(25);
    add(26);
    probe = [&](const Target& target, const ProbeOptions& options) {
        if (target.port != 25) return good_probe(target);
        EXPECT_TRUE(stops(options.limits.stop_fd, milliseconds(30'000)));
        return down_probe(target);
    };
    start();
    observed.wait_for("port.192.0.2.1:26.reachable", 5);
    const auto begin = std::chrono::steady_clock::now();
    watcher->stop();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
    EXPECT_FALSE(watcher->states()[0].looked) << "what was broken off tells nothing";
    EXPECT_EQ(watcher->states()[0].looks, 0u);
}

TEST_F(WatcherTest, OwnPortsArePausedAndALookUnderWayEnds) {
    add(25, true);
    add(26, false);
    std::promise<void> begun;
    std::atomic<int> own_looks = 0;
    probe = [&](const Target& target, const ProbeOptions& options) {
        if (target.port == 26) return good_probe(target);
        if (++own_looks == 1) {
            begun.set_value();
            EXPECT_TRUE(stops(options.limits.stop_fd, milliseconds(30'000)));
            return down_probe(target);
        }
        return good_probe(target);
    };
    start();
    begun.get_future().wait();
    watcher->pause_own();
    watcher->pause_own();
    observed.wait_for("port.192.0.2.1:26.reachable", 10);
    EXPECT_EQ(own_looks, 1);
    EXPECT_FALSE(watcher->states()[0].looked);
    EXPECT_TRUE(watcher->states()[0].paused);
    watcher->resume_own();
    EXPECT_FALSE(observed.wait_for("port.192.0.2.1:25.reachable")) << "the outage was our own";
    watcher->stop();
    EXPECT_EQ(watcher->states()[0].failed, 0u);
}

TEST_F(WatcherTest, WhatAThoroughLookFoundStaysUntilTheNextOne) {
    add(25);
    probe = [&](const Target& target, const ProbeOptions& options) {
        Probe seen = good_probe(target);
        if (options.thorough) seen.findings = {{Severity::critical, "open_relay", "open", "", ""}};
        return seen;
    };
    start();
    observed.wait_for("port.192.0.2.1:25.reachable", 3);
    watcher->stop();
    const auto state = watcher->states()[0];
    ASSERT_EQ(state.findings.size(), 1u);
    EXPECT_EQ(state.findings[0].code, "open_relay");
    EXPECT_EQ(state.worst(), Severity::critical);
}

TEST_F(WatcherTest, ALookThatThrowsIsLostAndNoMore) {
    add(25);
    std::atomic<int> looks = 0;
    probe = [&](const Target& target, const ProbeOptions&) {
        if (++looks == 1) throw std::runtime_error("no memory");
        return good_probe(target);
    };
    start();
    EXPECT_FALSE(observed.wait_for("port.192.0.2.1:25.reachable"));
}

TEST_F(WatcherTest, FiguresAreKeptAndTheUsualIsLearntFromThem) {
    std::string folder = (fs::temp_directory_path() / "pier-watcher-XXXXXX").string();
    ASSERT_TRUE(::mkdtemp(folder.data()));
    auto history = History::open(folder);
    ASSERT_TRUE(history);
    const Time now = system_now();
    for (int minute = 20; minute < 300; minute += 5)
        ASSERT_TRUE((*history)->add("probe.192.0.2.1:25.total_s", 0.001, now - std::chrono::minutes(minute)));
    services.history = history->get();
    add(25);
    probe = [&](const Target& target, const ProbeOptions&) {
        Probe seen = good_probe(target);
        seen.total = milliseconds(400);
        return seen;
    };
    start();
    EXPECT_EQ(observed.wait_for("port.192.0.2.1:25.latency"), Severity::warning);
    watcher->stop();
    EXPECT_THAT((*history)->series(), testing::Contains("probe.192.0.2.1:25.up"));
    const auto points = (*history)->points("probe.192.0.2.1:25.total_s", now - std::chrono::minutes(5),
                                           now + std::chrono::hours(1), now + std::chrono::hours(1), 100);
    ASSERT_TRUE(points && !points->empty());
    EXPECT_NEAR(points->back().last, 0.4, 1e-6);
    EXPECT_NEAR(watcher->states()[0].usual_s.value_or(0), 0.001, 1e-6);
    fs::remove_all(folder);
}

TEST_F(WatcherTest, CanariesAreFlownAndKept) {
    WatchedCanary canary;
    canary.name = "ours";
    canary.rhythm = {milliseconds(20), {}};
    canary.trust = std::make_shared<TlsTrust>();
    settings.canaries.push_back(canary);
    std::atomic<int> flights = 0;
    services.looks.canary = [&](const Target&, const Target&, const TlsTrust&, const CanaryOptions&,
                                const ProbeOptions&) {
        Canary flown;
        flown.begun = system_now();
        flown.sent = true;
        flown.came = flown.unchanged = flown.deleted = ++flights > 1;
        if (!flown.came) flown.findings = {{Severity::critical, "canary_lost", "it did not come", "", ""}};
        return flown;
    };
    start();
    EXPECT_EQ(observed.wait_for("canary.ours.lost"), Severity::critical);
    EXPECT_FALSE(observed.wait_for("canary.ours.lost", 2));
    watcher->stop();
    EXPECT_EQ(watcher->states()[0].what, "canary");
    EXPECT_TRUE(watcher->states()[0].up);
}

TEST_F(WatcherTest, StopsWithoutEverHavingLooked) {
    add(25, false, std::chrono::hours(1));
    start();
    watcher->pause_own();
    watcher->stop();
    watcher->resume_own();
    EXPECT_EQ(observed.count(), 0u);
}

}  // namespace
}  // namespace pier::watch
