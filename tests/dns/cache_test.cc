#include "dns/cache.h"

#include <gtest/gtest.h>

namespace pier::dns {
namespace {

using namespace std::chrono_literals;

Answer answer_for(std::uint32_t ttl_s, Answer::Kind kind = Answer::Kind::found) {
    Answer answer;
    answer.kind = kind;
    answer.ttl_s = ttl_s;
    return answer;
}

const Time start = Time(1000h);

TEST(DnsCache, keeps_an_answer_for_its_time_and_no_longer) {
    Cache cache({});
    cache.add("a", Type::mx, answer_for(10), start);
    EXPECT_TRUE(cache.find("a", Type::mx, start + 10s - 1us));
    EXPECT_FALSE(cache.find("a", Type::a, start));
    EXPECT_FALSE(cache.find("a", Type::mx, start + 10s));
    EXPECT_EQ(cache.size(), 0u);
}

TEST(DnsCache, the_time_has_a_limit_of_its_own) {
    Cache cache({.time_max = 20s, .negative_time_max = 5s});
    cache.add("a", Type::mx, answer_for(1'000'000), start);
    cache.add("b", Type::mx, answer_for(1'000'000, Answer::Kind::no_name), start);
    EXPECT_TRUE(cache.find("a", Type::mx, start + 19s));
    EXPECT_TRUE(cache.find("b", Type::mx, start + 4s));
    EXPECT_FALSE(cache.find("b", Type::mx, start + 5s));
    EXPECT_FALSE(cache.find("a", Type::mx, start + 20s));
}

TEST(DnsCache, failures_and_what_has_no_time_are_not_kept) {
    Cache cache({});
    cache.add("a", Type::mx, answer_for(0), start);
    cache.add("b", Type::mx, answer_for(10, Answer::Kind::failed), start);
    EXPECT_EQ(cache.size(), 0u);
}

TEST(DnsCache, the_oldest_goes_when_it_is_full) {
    Cache cache({.answers_max = 2});
    cache.add("a", Type::mx, answer_for(10), start);
    cache.add("b", Type::mx, answer_for(10), start);
    EXPECT_EQ(cache.size(), 2u);
    cache.add("a", Type::mx, answer_for(20), start);  // new again
    cache.add("c", Type::mx, answer_for(10), start);
    EXPECT_EQ(cache.size(), 2u);
    EXPECT_TRUE(cache.find("a", Type::mx, start + 15s));
    EXPECT_FALSE(cache.find("b", Type::mx, start));
}

}  // namespace
}  // namespace pier::dns
