#include "base/network.h"

#include <gtest/gtest.h>

namespace pier {
namespace {

IpAddress address(const char* text) {
    return boost::asio::ip::make_address(text);
}

Network network(std::string_view text) {
    auto parsed = Network::parse(text);
    EXPECT_TRUE(parsed) << text;
    return *parsed;
}

TEST(Network, ContainsWhatItsPrefixSays) {
    EXPECT_TRUE(network("192.0.2.0/24").contains(address("192.0.2.255")));
    EXPECT_FALSE(network("192.0.2.0/24").contains(address("192.0.3.0")));
    EXPECT_TRUE(network("192.0.2.128/25").contains(address("192.0.2.128")));
    EXPECT_FALSE(network("192.0.2.128/25").contains(address("192.0.2.127")));
    EXPECT_TRUE(network("2001:db8::/33").contains(address("2001:db8:7fff::1")));
    EXPECT_FALSE(network("2001:db8::/33").contains(address("2001:db8:8000::1")));
    EXPECT_TRUE(network("0.0.0.0/0").contains(address("203.0.113.9")));
    EXPECT_FALSE(network("0.0.0.0/0").contains(address("2001:db8::1")));
    EXPECT_TRUE(network("::1").contains(address("::1")));
    EXPECT_FALSE(network("::1").contains(address("::2")));
}

TEST(Network, AnIpv4AddressMappedIntoIpv6IsThatAddress) {
    EXPECT_TRUE(network("192.0.2.0/24").contains(address("::ffff:192.0.2.7")));
    EXPECT_EQ(Network::of_one(address("::ffff:192.0.2.7")), Network::of_one(address("192.0.2.7")));
}

TEST(Network, OneCustomerIsAnIpv4AddressOrA64) {
    EXPECT_EQ(Network::of_one(address("192.0.2.7")).text(), "192.0.2.7");
    EXPECT_EQ(Network::of_one(address("2001:db8:1:2:3:4:5:6")).text(), "2001:db8:1:2::/64");
    EXPECT_TRUE(network("2001:db8:1::/48").contains(Network::of_one(address("2001:db8:1:2::9"))));
    EXPECT_FALSE(Network::of_one(address("2001:db8:1:2::9")).contains(network("2001:db8:1::/48")));
}

TEST(Network, IsWrittenAsItIsRead) {
    for (const char* text : {"192.0.2.7", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32", "::1", "::/0"})
        EXPECT_EQ(network(text).text(), text);
}

TEST(Network, WhatIsNoneIsToldWithWhatToWrite) {
    for (const char* text : {"", "localhost", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "2001:db8::/129",
                             "192.0.2.0/24x", "fe80::1%1", "192.0.2"})
        EXPECT_FALSE(Network::parse(text)) << text;
    const auto ambiguous = Network::parse("192.0.2.7/24");
    ASSERT_FALSE(ambiguous);
    EXPECT_NE(ambiguous.error().text.find("write 192.0.2.0/24 or 192.0.2.7"), std::string::npos)
        << ambiguous.error().text;
}

TEST(AccessList, AllowNamesWhoMayComeAndDenyTakesFromThem) {
    const AccessList nobody_named{};
    EXPECT_TRUE(nobody_named.admits(address("192.0.2.7")));
    const AccessList list{{network("192.0.2.0/24")}, {network("192.0.2.7")}};
    EXPECT_TRUE(list.admits(address("192.0.2.8")));
    EXPECT_FALSE(list.admits(address("192.0.2.7")));
    EXPECT_FALSE(list.admits(address("198.51.100.1")));
    const AccessList only_deny{{}, {network("198.51.100.0/24")}};
    EXPECT_TRUE(only_deny.admits(address("192.0.2.7")));
    EXPECT_FALSE(only_deny.admits(address("198.51.100.1")));
}

}  // namespace
}  // namespace pier
