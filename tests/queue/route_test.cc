#include "queue/route.h"

#include <gtest/gtest.h>

#include "queue/zone.h"

namespace pier::queue {
namespace {

using test::Zone;
using Kind = dns::Answer::Kind;

std::size_t last(std::size_t bound) {  // shuffles nothing
    return bound - 1;
}

RouteSettings settings() {
    RouteSettings made;
    made.hostname = "mail.ours.example";
    made.own = *parse_networks(std::vector<std::string>{"192.0.2.99", "127.0.0.0/8"});
    return made;
}

std::string shown(const std::variant<Route, smtp::Reply>& found) {
    std::string out;
    if (const auto* reply = std::get_if<smtp::Reply>(&found))
        return std::to_string(reply->code) + " " + reply->enhanced + " " + reply->text;
    for (const MailHost& host : std::get<Route>(found).hosts)
        out += (out.empty() ? "" : " ") + host.name + (host.authentic ? "!" : "");
    return out;
}

std::string route_of(Zone& zone, const std::string& destination, const RouteSettings& with = settings()) {
    return shown(find_route(destination, with, zone, last));
}

TEST(Route, mx_hosts_by_preference) {
    Zone zone;
    zone.mx("example.org", {{20, "c.example.org"}, {5, "a.example.org"}, {10, "b.example.org"}});
    EXPECT_EQ(route_of(zone, "example.org"), "a.example.org b.example.org c.example.org");
    zone.authentic = true;
    zone.mx("signed.example", {{5, "mx.example.org"}});
    EXPECT_EQ(route_of(zone, "signed.example"), "mx.example.org!");
}

TEST(Route, hosts_of_one_preference_come_in_random_order_and_no_others_between) {
    Zone zone;
    zone.mx("example.org", {{1, "a"}, {1, "b"}, {1, "c"}, {2, "d"}});
    const auto first = [](std::size_t) { return std::size_t{0}; };
    EXPECT_EQ(shown(find_route("example.org", settings(), zone, first)), "b c a d");
    EXPECT_EQ(shown(find_route("example.org", settings(), zone, last)), "a b c d");
}

TEST(Route, without_mx_the_domain_is_its_host) {
    Zone zone;
    zone.address("example.org", "192.0.2.1");
    EXPECT_EQ(route_of(zone, "example.org"), "example.org");
}

TEST(Route, why_there_is_none) {
    Zone zone;
    zone.mx("null.example", {{0, ""}}).is("bad.example", dns::Type::mx, Kind::failed);
    EXPECT_EQ(route_of(zone, "null.example"), "556 5.1.10 null.example does not take mail (null MX)");
    EXPECT_EQ(route_of(zone, "none.example"), "550 5.1.2 there is no domain none.example");
    EXPECT_EQ(route_of(zone, "bad.example"),
              "451 4.4.3 DNS cannot be asked for bad.example (MX): the answer is SERVFAIL");
    EXPECT_EQ(route_of(zone, "a..b"), "550 5.1.2 a..b is no domain");
}

TEST(Route, a_root_among_other_hosts_is_passed_over) {
    Zone zone;
    zone.mx("example.org", {{0, ""}, {1, "a"}});
    EXPECT_EQ(route_of(zone, "example.org"), "a");
}

TEST(Route, we_in_the_list_cut_it) {
    Zone zone;
    zone.mx("backup.example", {{1, "a"}, {5, "b"}, {5, "mail.ours.example"}, {9, "c"}});
    zone.mx("best.example", {{1, "mail.ours.example"}, {9, "c"}});
    zone.address("mail.ours.example", "192.0.2.99");
    EXPECT_EQ(route_of(zone, "backup.example"), "a");
    const std::string loop = "would come back to this server, which does not take it";
    EXPECT_EQ(route_of(zone, "best.example"), "554 5.4.6 mail for best.example " + loop);
    EXPECT_EQ(route_of(zone, "mail.ours.example"), "554 5.4.6 mail for mail.ours.example " + loop);
}

TEST(Route, hosts_at_the_limit_and_one_more) {
    Zone zone;
    RouteSettings with = settings();
    with.hosts_max = 2;
    zone.mx("two.example", {{1, "a"}, {2, "b"}}).mx("three.example", {{1, "a"}, {2, "b"}, {3, "c"}});
    EXPECT_EQ(route_of(zone, "two.example", with), "a b");
    EXPECT_EQ(route_of(zone, "three.example", with), "a b");
}

TEST(Route, address_literals) {
    Zone zone;
    const auto found = find_route("[192.0.2.7]", settings(), zone, last);
    ASSERT_TRUE(std::holds_alternative<Route>(found));
    const Addresses addresses = find_addresses(std::get<Route>(found).hosts.at(0), settings(), zone, last);
    ASSERT_EQ(addresses.list.size(), 1u);
    EXPECT_EQ(addresses.list[0].to_string(), "192.0.2.7");
    EXPECT_TRUE(zone.asked.empty());
    EXPECT_EQ(parse_address_literal("[ipv6:2001:db8::1]")->to_string(), "2001:db8::1");
    EXPECT_EQ(parse_address_literal("[IPv6:::1]")->to_string(), "::1");
    for (const char* bad :
         {"[]", "[1.2.3]", "[2001:db8::1]", "[ipv6:1.2.3.4]", "1.2.3.4", "[ipv6:fe80::1%1]", "[x]"})
        EXPECT_FALSE(parse_address_literal(bad)) << bad;
    EXPECT_EQ(route_of(zone, "[x]"), "550 5.1.2 [x] is no address");
}

TEST(Route, domains_that_are_not_ascii) {
    Zone zone;
    zone.mx("xn--grn-ioa.example", {{1, "mx.example"}});
    EXPECT_EQ(route_of(zone, "gr\xC3\xBCn.example"), "mx.example");
}

std::string addresses_of(Zone& zone, const std::string& host) {
    const Addresses found = find_addresses({host, false, {}}, settings(), zone, last);
    std::string out;
    for (const IpAddress& address : found.list)
        out += (out.empty() ? "" : " ") + address.to_string();
    if (found.list.empty()) out = shown(found.trouble);
    return (found.authentic ? "! " : "") + out;
}

TEST(RouteAddresses, six_and_four_alternately) {
    Zone zone;
    zone.address("mx", "192.0.2.1")
        .address("mx", "192.0.2.2")
        .address("mx", "192.0.2.3")
        .address("mx", "2001:db8::1");
    EXPECT_EQ(addresses_of(zone, "mx"), "2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.3");
    zone.address("mx", "2001:db8::2").address("mx", "2001:db8::3").address("mx", "2001:db8::4");
    EXPECT_EQ(addresses_of(zone, "mx"), "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 2001:db8::3 192.0.2.3");
}

TEST(RouteAddresses, why_there_are_none) {
    Zone zone;
    zone.is("half", dns::Type::aaaa, Kind::failed).address("half", "192.0.2.1");
    EXPECT_EQ(addresses_of(zone, "half"), "192.0.2.1");
    zone.is("bad", dns::Type::aaaa, Kind::failed);
    EXPECT_EQ(addresses_of(zone, "bad"),
              "451 4.4.3 DNS cannot be asked for bad (AAAA): the answer is SERVFAIL");
    EXPECT_EQ(addresses_of(zone, "none"), "550 5.4.4 the mail host none has no address");
}

TEST(RouteAddresses, our_own_are_not_connected_to) {
    for (const char* address : {"192.0.2.99", "127.0.0.2", "0.0.0.0", "::", "::ffff:127.0.0.1"}) {
        Zone zone;
        zone.address("mx", "192.0.2.1").address("mx", address);
        const Addresses found = find_addresses({"mx", false, {}}, settings(), zone, last);
        EXPECT_TRUE(found.ours && found.list.empty()) << address;
        EXPECT_EQ(found.trouble.enhanced, "5.4.6");
    }
}

TEST(RouteAddresses, are_authentic_if_what_is_used_of_them_is) {
    Zone zone;
    zone.authentic = true;
    zone.address("mx", "192.0.2.1").address("both", "192.0.2.1");
    zone.entry("mx", dns::Type::a).name = "real";
    EXPECT_EQ(find_addresses({"mx", true, {}}, settings(), zone, last).name, "real");
    EXPECT_EQ(addresses_of(zone, "mx"), "! 192.0.2.1");
    zone.authentic = false;
    zone.address("both", "2001:db8::1");
    EXPECT_EQ(addresses_of(zone, "both"), "2001:db8::1 192.0.2.1");
}

}  // namespace
}  // namespace pier::queue
