// Who of our clients is ourselves.
#include "net/own_visits.h"

#include <gtest/gtest.h>

namespace pier::net {
namespace {

IpAddress address(const char* text) {
    return boost::asio::ip::make_address(text);
}

const OwnVisits::Instant zero{std::chrono::hours(1)};

TEST(OwnVisits, AreKnownByAddressAndPort) {
    OwnVisits visits;
    visits.note(address("127.0.0.1"), 40'000, zero);
    EXPECT_TRUE(visits.knows(address("127.0.0.1"), 40'000, zero));
    EXPECT_TRUE(visits.knows(address("::ffff:127.0.0.1"), 40'000, zero));
    EXPECT_FALSE(visits.knows(address("127.0.0.1"), 40'001, zero));
    EXPECT_FALSE(visits.knows(address("127.0.0.2"), 40'000, zero));
    EXPECT_FALSE(visits.knows(address("::1"), 40'000, zero));
}

TEST(OwnVisits, AreForgottenInTimeForAnotherUseOfThePort) {
    OwnVisits visits;
    visits.note(address("::1"), 40'000, zero);
    EXPECT_TRUE(visits.knows(address("::1"), 40'000, zero + OwnVisits::kept_for));
    EXPECT_FALSE(visits.knows(address("::1"), 40'000, zero + OwnVisits::kept_for + std::chrono::seconds(1)));
}

TEST(OwnVisits, AreBounded) {
    OwnVisits visits;
    for (std::size_t i = 0; i <= OwnVisits::kept_max; ++i)
        visits.note(address("127.0.0.1"), static_cast<std::uint16_t>(10'000 + i), zero);
    EXPECT_FALSE(visits.knows(address("127.0.0.1"), 10'000, zero)) << "the oldest goes";
    EXPECT_TRUE(visits.knows(address("127.0.0.1"), 10'001, zero));
}

}  // namespace
}  // namespace pier::net
