// The machine dies in every operation of the disk while messages are taken in and sent. What was told before
// must hold afterwards: nothing that was accepted is lost, nothing is sent that was not accepted, and nobody
// gets a message again whose delivery was on disk.
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "queue/queue_fixture.h"
#include "store/fault_disk.h"

namespace pier::queue::test {
namespace {

using pier::test::FaultDisk;

class QueueCrashTest : public QueueTest {
  protected:
    // Until the disk dies, or all is done: two messages, of which each has a recipient that fails, is
    // deferred once, and is delivered.
    void live() {
        net->answer = [this](const std::string& who) { return answer_for(who); };
        for (const std::string name : {"one", "two"}) {
            const std::vector<std::string> to{name + "-good@far.example", name + "-bad@far.example",
                                              name + "-late@other.example"};
            tried.insert(name);
            if (try_add("ada@here.example", to)) accepted.insert(name);
            queue->wait_for_store();
            run();
        }
        pass(60s);
    }

    Outcome answer_for(const std::string& who) {
        if (who.find("bad") != std::string::npos) return failed();
        if (who.find("late") != std::string::npos && ++late[who] == 1) return deferred();
        return delivered();
    }

    // How often each recipient was said to have the message.
    std::map<std::string, int> deliveries() {
        std::map<std::string, int> count;
        for (const Carried& one : net->carried)
            for (const std::string& who : one.recipients)
                ++count[who];
        return count;
    }
    std::size_t bounces(const std::string& name) {
        return static_cast<std::size_t>(std::count_if(told.begin(), told.end(), [&](const Told& one) {
            return one.octets.find(name + "-bad@far.example") != std::string::npos;
        }));
    }

    std::set<std::string> tried, accepted;
    std::map<std::string, int> late;
};

TEST_F(QueueCrashTest, NothingIsLostAndNothingIsMadeUpWhereverTheMachineDies) {
    std::mt19937_64 random(1);
    bool died = true;
    std::size_t deaths = 0;
    for (std::uint64_t n = 1; died && n < 1000; ++n) {
        for (const auto unsynced : {FaultDisk::Unsynced::lost, FaultDisk::Unsynced::kept}) {
            SCOPED_TRACE("operation " + std::to_string(n));
            const auto faults = std::make_shared<FaultDisk>();
            disk = faults;
            net = std::make_shared<FakeNet>();
            told.clear();
            tried.clear();
            accepted.clear();
            late.clear();
            new_folder();
            start();
            faults->die_at_operation(n);
            live();
            died = faults->failures() != 0;
            if (died) ++deaths;
            stop();
            const auto before = deliveries();
            faults->work_again();
            faults->power_loss(unsynced, random);
            start();
            for (int hour = 0; hour < 3; ++hour)
                pass(1h);
            EXPECT_EQ(queue->counts().messages, 0u);
            EXPECT_EQ(stored(), 0u);
            EXPECT_EQ(records(), 0u);
            const auto after = deliveries();
            for (const std::string& name : tried) {
                const int good =
                    after.contains(name + "-good@far.example") ? after.at(name + "-good@far.example") : 0;
                // One more than once only if the machine died between the answer and its record.
                EXPECT_LE(good, died ? 2 : 1);
                if (!accepted.contains(name)) continue;
                EXPECT_GE(good, 1) << name << " was accepted";
                EXPECT_GE(bounces(name), 1u) << name;
                EXPECT_LE(bounces(name), died ? 3u : 1u) << name;
                EXPECT_GE(late[name + "-late@other.example"], 2) << name;
            }
            stop();
        }
    }
    EXPECT_FALSE(died) << "the whole life was walked through";
    EXPECT_GT(deaths, 20u);
}

// A disk that refuses single writes for want of space: what cannot be recorded is not sent again and again.
TEST_F(QueueCrashTest, WithoutSpaceNothingIsAcceptedAndNothingIsLost) {
    const auto faults = std::make_shared<FaultDisk>();
    disk = faults;
    start();
    add("ada@here.example", {"bob@far.example"});
    faults->set_capacity_octets(0);
    EXPECT_FALSE(try_add("ada@here.example", {"carl@far.example"}));
    queue->wait_for_store();
    EXPECT_EQ(queue->counts().messages, 1u);
    net->answer = [](const std::string&) { return deferred(); };
    run();
    const auto times = net->carried.size();
    EXPECT_EQ(times, 1u);
    pass(1h);
    EXPECT_EQ(net->carried.size(), times) << "not again before the first answer is on disk";
    faults->set_capacity_octets(std::nullopt);
    net->answer = {};
    pass(1h);
    pass(1h);
    EXPECT_EQ(net->carried.size(), times + 1);
    EXPECT_EQ(queue->counts().messages, 0u);
    EXPECT_EQ(records(), 0u);
}

}  // namespace
}  // namespace pier::queue::test
