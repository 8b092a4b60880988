#include "watch/drift.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pier::watch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

IpAddress address(const char* text) {
    return boost::asio::ip::make_address(text);
}

ConfiguredPort pop3s(const char* at = "0.0.0.0") {
    return {"pop3s-995", "*:995", {address(at)}, 995};
}

ListeningPort listens(const char* at, std::uint16_t port, std::optional<bool> ours,
                      std::optional<Holder> holder = {}) {
    return {{address(at), port, 1}, ours, std::move(holder)};
}

std::vector<std::string> codes(const PortFacts& facts) {
    std::vector<std::string> out;
    for (const PortState& state : compare_ports(facts))
        for (const Finding& finding : state.differences) {
            EXPECT_FALSE(finding.what.empty() || finding.step.empty()) << finding.code;
            out.push_back(finding.code);
        }
    return out;
}

TEST(Drift, nothing_where_all_agree) {
    PortFacts facts{{pop3s()}, {listens("0.0.0.0", 995, true)}, true};
    facts.firewall = Firewall{};
    facts.outside = {{995, true, "a test", "", ""}};
    EXPECT_THAT(codes(facts), IsEmpty());
    EXPECT_EQ(compare_ports(facts)[0].firewall.passage, Passage::open);
    EXPECT_TRUE(compare_ports(facts)[0].outside->reached);
}

TEST(Drift, nobody_listens_or_somebody_else) {
    EXPECT_THAT(codes({{pop3s()}, {}, true}), ElementsAre("not_listening"));
    EXPECT_THAT(codes({{pop3s("192.0.2.1")}, {listens("192.0.2.2", 995, true)}, true}),
                ElementsAre("not_listening", "not_configured"));
    const auto other = listens("0.0.0.0", 995, false, Holder{812, "nginx"});
    const PortFacts facts{{pop3s()}, {other}, true};
    EXPECT_THAT(codes(facts), ElementsAre("other_process"));
    EXPECT_THAT(compare_ports(facts)[0].differences[0].evidence, HasSubstr("nginx (process 812)"));
    EXPECT_THAT(codes({{pop3s()}, {listens("0.0.0.0", 995, true), other}, true}), ElementsAre("shared_port"));
    // Of whom nobody could say whose he is, nothing is said.
    EXPECT_THAT(codes({{pop3s()}, {listens("0.0.0.0", 995, std::nullopt)}, true}), IsEmpty());
}

TEST(Drift, a_mail_port_that_is_not_configured) {
    const PortFacts facts{{pop3s()},
                          {listens("0.0.0.0", 995, true), listens("0.0.0.0", 25, false),
                           listens("::", 25, false), listens("0.0.0.0", 22, false)},
                          true};
    const auto states = compare_ports(facts);
    ASSERT_EQ(states.size(), 2u);
    EXPECT_EQ(states[1].port, 25);
    EXPECT_EQ(states[1].listens.size(), 2u);
    EXPECT_THAT(codes(facts), ElementsAre("not_configured"));
}

TEST(Drift, a_firewall_and_a_look_from_outside) {
    PortFacts facts{{pop3s()}, {listens("0.0.0.0", 995, true)}, true};
    facts.firewall = Firewall{.unknown = {}, .chains = {{"inet filter input", true, {}}}};
    facts.outside = {{995, false, "a test", "timed out", "look"}};
    EXPECT_THAT(codes(facts), ElementsAre("not_reached", "firewall_closed"));
    facts.firewall->chains[0].rules = {{995, 995, false, true, "some"}};
    facts.outside.clear();
    EXPECT_THAT(codes(facts), ElementsAre("firewall_filters"));
    // On loopback nobody is let in anyway.
    facts.firewall->chains[0].rules.clear();
    facts.configured = {pop3s("127.0.0.1")};
    facts.listening = {listens("127.0.0.1", 995, true)};
    EXPECT_THAT(codes(facts), IsEmpty());
    facts.firewall = Firewall{.unknown = "no right", .chains = {}};
    EXPECT_EQ(compare_ports(facts)[0].firewall.text, "no right");
}

TEST(Drift, one_family_s_sockets) {
    // Only sockets for IPv6 alone can stand beside one of IPv4.
    EXPECT_THAT(codes({{pop3s()}, {listens("0.0.0.0", 995, true), listens("::", 995, false)}, true}),
                IsEmpty());
    EXPECT_THAT(codes({{pop3s()}, {listens("::", 995, false)}, true}), ElementsAre("other_process"));
    PortFacts facts{{pop3s()}, {listens("0.0.0.0", 995, true)}, true};
    facts.firewall = Firewall{.unknown = {}, .chains = {{"ip6 filter input", true, {}}}};
    EXPECT_THAT(codes(facts), IsEmpty());
    facts.configured = {pop3s("::")};
    facts.listening = {listens("::", 995, true)};
    EXPECT_THAT(codes(facts), ElementsAre("firewall_closed"));
}

// Each look tells of everything, also of what is well.
TEST(Drift, what_is_told_again_and_again) {
    const Time at{std::chrono::seconds(1'800'000'000)};
    const ConfiguredPort port{"pop3s", "192.0.2.1:995", {address("192.0.2.1")}, 995};
    const auto told = [&](std::vector<ListeningPort> listening) {
        return observed_ports(compare_ports({{port}, std::move(listening), true}), at);
    };
    auto seen = told({listens("192.0.2.1", 995, true), listens("0.0.0.0", 25, false)});
    ASSERT_EQ(seen.size(), 2u);  // nothing of ports that are not configured
    EXPECT_EQ(seen[0].key, "listener.pop3s.192.0.2.1:995.closed");
    EXPECT_EQ(seen[1].key, "listener.pop3s.192.0.2.1:995.foreign");
    for (const Observation& one : seen) {
        EXPECT_FALSE(one.severity) << one.key;
        EXPECT_FALSE(one.what.empty() || one.group.empty()) << one.key;
        EXPECT_EQ(one.at, at);
    }
    seen = told({});
    EXPECT_EQ(seen[0].severity, Severity::critical);
    EXPECT_FALSE(seen[1].severity);
    for (const auto& listening :
         {std::vector{listens("192.0.2.1", 995, false)},
          std::vector{listens("192.0.2.1", 995, true), listens("0.0.0.0", 995, false)}}) {
        seen = told(listening);
        EXPECT_FALSE(seen[0].severity);
        EXPECT_EQ(seen[1].severity, Severity::critical);
        EXPECT_THAT(seen[1].evidence, HasSubstr("995"));
        EXPECT_FALSE(seen[1].step.empty());
    }
}

}  // namespace
}  // namespace pier::watch
