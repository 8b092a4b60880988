#include "queue/mta_sts.h"

#include <gtest/gtest.h>

#include "queue/sts_policies.h"
#include "queue/zone.h"

namespace pier::queue {
namespace {

using namespace std::chrono_literals;
using Mode = StsPolicy::Mode;

const std::string good =
    "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\nmax_age: 604800\r\n";

std::string problem_of(const std::string& text) {
    const auto policy = parse_sts_policy(text);
    return policy ? "none" : policy.error().text;
}

TEST(StsPolicy, of_the_rfc) {
    const auto policy = parse_sts_policy(good);
    ASSERT_TRUE(policy) << policy.error().text;
    EXPECT_EQ(policy->mode, Mode::enforce);
    EXPECT_EQ(policy->mx, (std::vector<std::string>{"mail.example.com", "*.example.net"}));
    EXPECT_EQ(policy->max_age, 604800s);
}

TEST(StsPolicy, liberal_and_strict) {
    EXPECT_EQ(problem_of("version:STSv1\nmode:none\nmax_age:0"), "none");
    EXPECT_EQ(
        problem_of("version: STSv1\n\nnew_key: x\n mode : testing \nmode: enforce\nmx: a\nmax_age: 1\n"),
        "none");
    EXPECT_EQ(problem_of(""), "it does not say version: STSv1");
    EXPECT_EQ(problem_of("<html>"), "the line \"<html>\" has no colon");
    EXPECT_EQ(problem_of("version: STSv2\nmode: none\nmax_age: 1\n"), "it does not say version: STSv1");
    EXPECT_EQ(problem_of("version: STSv1\nmode: off\nmax_age: 1\n"),
              "its mode is none of enforce, testing, none");
    EXPECT_EQ(problem_of("version: STSv1\nmode: enforce\nmax_age: 1\n"), "it names no mx");
    EXPECT_EQ(problem_of("version: STSv1\nmode: enforce\nmx: a b\nmax_age: 1\n"), "mx: a b is no host");
    EXPECT_EQ(problem_of("version: STSv1\nmode: enforce\nmx: *\nmax_age: 1\n"), "mx: * is no host");
    for (const char* age : {"", "-1", "1s", "x", "99999999999999999999999"})
        EXPECT_EQ(problem_of(std::string("version: STSv1\nmode: none\nmax_age: ") + age + "\n"),
                  "its max_age is no number of seconds")
            << age;
}

TEST(StsPolicy, limits) {
    EXPECT_EQ(parse_sts_policy("version: STSv1\nmode: none\nmax_age: 31557601\n")->max_age, 31557600s);
    std::string text = "version: STSv1\nmode: enforce\nmax_age: 1\n";
    for (std::size_t i = 0; i < sts_mx_max; ++i)
        text += "mx: a" + std::to_string(i) + "\n";
    EXPECT_EQ(problem_of(text), "none");
    EXPECT_EQ(problem_of(text + "mx: b\n"), "it has too many mx lines");
    const std::string filler(sts_policy_octets_max - good.size(), '\n');
    EXPECT_EQ(problem_of(good + filler), "none");
    EXPECT_EQ(problem_of(good + filler + "\n"), "it is too long");
}

TEST(StsPolicy, hosts_that_it_allows) {
    const StsPolicy policy = *parse_sts_policy(good);
    for (const char* host : {"mail.example.com", "MAIL.example.com", "a.example.net", "b.EXAMPLE.net"})
        EXPECT_TRUE(policy.allows(host)) << host;
    for (const char* host : {"", "example.net", ".example.net", "a.b.example.net",
                             "mail.example.com.evil.example", "xmail.example.com", "aexample.net"})
        EXPECT_FALSE(policy.allows(host)) << host;
}

TEST(StsId, one_record_and_no_other) {
    EXPECT_EQ(sts_id({"v=STSv1; id=20160831085700Z;"}), "20160831085700Z");
    EXPECT_EQ(sts_id({"v=spf1 -all", "v=STSv1;id=1"}), "1");
    EXPECT_FALSE(sts_id({}));
    EXPECT_FALSE(sts_id({"v=STSv1; id=1", "v=STSv1; id=2"}));
    EXPECT_FALSE(sts_id({"v=STSv1"}));
    EXPECT_FALSE(sts_id({"v=STSv1; id="}));
    EXPECT_FALSE(sts_id({"v=STSv1; id=a-b"}));
    EXPECT_FALSE(sts_id({"v=STSv12; id=1"}));
    EXPECT_TRUE(sts_id({"v=STSv1; id=" + std::string(32, 'a')}));
    EXPECT_FALSE(sts_id({"v=STSv1; id=" + std::string(33, 'a')}));
}

const Time start = Time(1000h);

TEST(StsCache, keeps_policies_for_their_time_and_drops_what_was_used_longest_ago) {
    StsCache cache(2);
    StsPolicy policy = *parse_sts_policy(good);
    policy.max_age = 100s;
    cache.put("a", "1", policy, start);
    cache.put("b", "1", policy, start);
    EXPECT_TRUE(cache.find("a", start + 100s - 1us));
    cache.put("c", "1", policy, start);
    EXPECT_EQ(cache.size(), 2u);
    EXPECT_FALSE(cache.find("b", start));
    EXPECT_TRUE(cache.find("a", start));
    EXPECT_FALSE(cache.find("a", start + 100s));
    EXPECT_FALSE(cache.is_left_alone("a", start));
    cache.leave_alone("a", start + 1s);
    EXPECT_TRUE(cache.is_left_alone("a", start));
    EXPECT_FALSE(cache.is_left_alone("a", start + 1s));
    EXPECT_TRUE(cache.find("a", start));
}

struct Policies {
    test::Zone zone;
    Time now = start;
    int fetched = 0;
    Result<std::string> text = good;
    StsPolicies policies{100,
                         [this](const std::string& domain, const std::vector<IpAddress>& addresses) {
                             EXPECT_EQ(domain, "example.org");
                             EXPECT_EQ(addresses.size(), 1u);
                             ++fetched;
                             return text;
                         },
                         [this] { return now; }};
    void record(const std::string& record) {
        zone.entry("_mta-sts.example.org", dns::Type::txt).texts = {record};
        zone.entry("mta-sts.example.org", dns::Type::a).addresses = {
            boost::asio::ip::make_address("192.0.2.1")};
    }
    bool has() { return policies.of("example.org", zone).has_value(); }
};

TEST(StsPolicies, are_fetched_once_for_each_id) {
    Policies world;
    EXPECT_FALSE(world.has());
    EXPECT_EQ(world.fetched, 0);
    world.record("v=STSv1; id=1");
    EXPECT_TRUE(world.has());
    EXPECT_TRUE(world.has());
    EXPECT_EQ(world.fetched, 1);
    world.record("v=STSv1; id=2");
    EXPECT_TRUE(world.has());
    EXPECT_EQ(world.fetched, 2);
}

TEST(StsPolicies, hold_when_the_record_or_the_server_is_gone) {
    Policies world;
    world.record("v=STSv1; id=1");
    EXPECT_TRUE(world.has());
    world.zone.entry("_mta-sts.example.org", dns::Type::txt) = {};
    EXPECT_TRUE(world.has());
    world.record("v=STSv1; id=2");
    world.text = Error(ErrorKind::io, "no connection");
    EXPECT_TRUE(world.has());
    world.now = start + 604800s;
    EXPECT_FALSE(world.has());
}

TEST(StsPolicies, that_cannot_be_had_are_not_asked_for_again_at_once) {
    Policies world;
    world.record("v=STSv1; id=1");
    world.text = std::string("<html>");
    EXPECT_FALSE(world.has());
    EXPECT_FALSE(world.has());
    EXPECT_EQ(world.fetched, 1);
    world.now = start + 5min;
    world.text = good;
    EXPECT_TRUE(world.has());
    EXPECT_EQ(world.fetched, 2);
}

}  // namespace
}  // namespace pier::queue
