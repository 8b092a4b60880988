#include "dns/answer.h"

#include <string>

#include <gtest/gtest.h>

#include "dns/packet.h"

namespace pier::dns {
namespace {

using test::Packet;
using namespace std::string_literals;
using Kind = Answer::Kind;

// As a resolver sends it: the question, then answers that point back to its name.
const std::string compressed =
    "\x12\x34\x81\xa0\x00\x01\x00\x02\x00\x00\x00\x00"
    "\x07"
    "Example\x03org\x00\x00\x0f\x00\x01"
    "\xc0\x0c\x00\x0f\x00\x01\x00\x00\x01\x2c\x00\x09\x00\x0a\x04mail\xc0\x0c"
    "\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x07\x00\x05\x02"
    "b2\xc0\x2b"s;

TEST(DnsAnswer, mx_with_compressed_names) {
    const Answer answer = parse_answer(compressed, "example.org", Type::mx);
    EXPECT_EQ(answer.kind, Kind::found);
    EXPECT_TRUE(answer.authentic);
    EXPECT_EQ(answer.exchanges, (std::vector<Mx>{{10, "mail.example.org"}, {5, "b2.mail.example.org"}}));
    EXPECT_EQ(answer.ttl_s, 60u);
    EXPECT_EQ(answer.name, "example.org");
}

TEST(DnsAnswer, srv) {
    const auto numbers = [](unsigned priority, unsigned weight, unsigned port) {
        return test::number16(priority) + test::number16(weight) + test::number16(port);
    };
    Packet packet;
    packet.add("_pop3s._tcp.example.org", 33, 60, numbers(0, 1, 995) + test::name("mx.example.org"));
    packet.add("_pop3s._tcp.example.org", 33, 60, numbers(10, 0, 0) + test::name(""));
    packet.add("_pop3s._tcp.example.org", 33, 60, numbers(0, 1, 995) + test::name("mx.example.org") + "x");
    packet.add("_pop3s._tcp.example.org", 33, 60, "short");
    const Answer answer = parse_answer(packet.text(), "_pop3s._tcp.example.org", Type::srv);
    EXPECT_EQ(answer.kind, Kind::found);
    EXPECT_EQ(answer.services, (std::vector<Srv>{{0, 1, 995, "mx.example.org"}, {10, 0, 0, ""}}));
}

TEST(DnsAnswer, cut_anywhere_is_no_answer_and_no_crash) {
    for (std::size_t count = 0; count < compressed.size(); ++count)
        EXPECT_EQ(parse_answer(compressed.substr(0, count), "example.org", Type::mx).kind, Kind::failed)
            << count;
}

TEST(DnsAnswer, any_octet_changed_is_survived) {
    for (std::size_t at = 0; at < compressed.size(); ++at)
        for (const int octet : {0x00, 0x01, 0x3f, 0x40, 0x80, 0xc0, 0xff}) {
            std::string changed = compressed;
            changed[at] = static_cast<char>(octet);
            const Answer answer = parse_answer(changed, "example.org", Type::mx);
            for (const Mx& mx : answer.exchanges)
                EXPECT_TRUE(mx.exchange.empty() || mx.exchange.size() <= 253);
        }
}

TEST(DnsAnswer, pointers_that_go_in_circles_or_forward_are_malformed) {
    for (const char* pointer : {"\xc0\x0c", "\xc0\x0e", "\xc0\xff", "\xff\xff"}) {
        const std::string packet =
            "\0\0\x81\x80\0\0\0\1\0\0\0\0"s + pointer + "\0\1\0\1\0\0\0\1\0\4\1\2\3\4"s;
        EXPECT_EQ(parse_answer(packet, "x", Type::a).kind, Kind::failed);
    }
    // A label in front of the pointer to it.
    const std::string ring = "\0\0\x81\x80\0\0\0\1\0\0\0\0\1a\xc0\x0c\0\1\0\1\0\0\0\1\0\4\1\2\3\4"s;
    EXPECT_EQ(parse_answer(ring, "a", Type::a).kind, Kind::failed);
}

TEST(DnsAnswer, addresses) {
    const Answer four = parse_answer(Packet{.flags = 0x8180}
                                         .add("mx.example", 1, 9, "\x7f\0\0\1"s)
                                         .add("mx.example", 1, 9, "\x7f\0\0"s)     // too short
                                         .add("other.example", 1, 9, "\1\2\3\4"s)  // not asked for
                                         .add("mx.example", 28, 9, std::string(16, '\1'))
                                         .text(),
                                     "mx.example", Type::a);
    ASSERT_EQ(four.addresses.size(), 1u);
    EXPECT_EQ(four.addresses[0].to_string(), "127.0.0.1");
    EXPECT_FALSE(four.authentic);
    const Answer six = parse_answer(Packet().add("mx.example", 28, 9, std::string(15, '\0') + '\1').text(),
                                    "mx.example", Type::aaaa);
    ASSERT_EQ(six.addresses.size(), 1u);
    EXPECT_TRUE(six.addresses[0].is_loopback());
}

TEST(DnsAnswer, aliases_are_followed_within_bounds) {
    Packet packet;
    packet.add("c.example", 1, 100, "\1\2\3\4"s);
    packet.add("b.example", 5, 20, test::name("c.example")).add("a.example", 5, 50, test::name("B.example"));
    const Answer answer = parse_answer(packet.text(), "a.example", Type::a);
    EXPECT_EQ(answer.kind, Kind::found);
    EXPECT_EQ(answer.name, "c.example");
    EXPECT_EQ(answer.ttl_s, 20u);
    const Packet ring = Packet().add("a", 5, 1, test::name("b")).add("b", 5, 1, test::name("a"));
    EXPECT_EQ(parse_answer(ring.text(), "a", Type::a).kind, Kind::failed);
    for (const unsigned aliases : {aliases_max, aliases_max + 1}) {
        Packet chain;
        for (unsigned i = 0; i < aliases; ++i)
            chain.add("n" + std::to_string(i), 5, 1, test::name("n" + std::to_string(i + 1)));
        chain.add("n" + std::to_string(aliases), 1, 1, "\1\2\3\4"s);
        EXPECT_EQ(parse_answer(chain.text(), "n0", Type::a).kind,
                  aliases == aliases_max ? Kind::found : Kind::failed);
    }
}

TEST(DnsAnswer, what_is_not_there) {
    const Answer no_name = parse_answer(Packet{.flags = 0x81A3}.soa(300, 30).text(), "x.example", Type::mx);
    EXPECT_EQ(no_name.kind, Kind::no_name);
    EXPECT_EQ(no_name.ttl_s, 30u);
    EXPECT_TRUE(no_name.authentic);
    const Answer no_data = parse_answer(Packet().soa(10, 30).text(), "x.example", Type::mx);
    EXPECT_EQ(no_data.kind, Kind::no_data);
    EXPECT_EQ(no_data.ttl_s, 10u);
    EXPECT_EQ(parse_answer(Packet().text(), "x.example", Type::mx).ttl_s, 60u);
}

TEST(DnsAnswer, trouble) {
    EXPECT_EQ(parse_answer(Packet{.flags = 0x8182}.text(), "x", Type::a).why, "the answer is SERVFAIL");
    EXPECT_EQ(parse_answer(Packet{.flags = 0x8185}.text(), "x", Type::a).why, "the answer is REFUSED");
    EXPECT_EQ(parse_answer(Packet{.flags = 0x8189}.text(), "x", Type::a).why, "the answer is error 9");
    EXPECT_EQ(parse_answer(Packet{.flags = 0x8380}.text(), "x", Type::a).why, "the answer is cut off");
    EXPECT_EQ(parse_answer(Packet{.flags = 0x0180}.text(), "x", Type::a).why, "the answer is malformed");
    EXPECT_EQ(parse_answer("", "x", Type::a).why, "the answer is malformed");
}

TEST(DnsAnswer, texts_and_associations) {
    const Answer texts = parse_answer(
        Packet().add("x", 16, 1, "\3abc\0\2de"s).add("x", 16, 1, "\4abc"s).add("x", 16, 1, "\1f"s).text(),
        "x", Type::txt);
    EXPECT_EQ(texts.texts, (std::vector<std::string>{"abcde", "f"}));
    const Answer tlsa = parse_answer(
        Packet().add("x", 52, 1, "\3\1\1\xaa\0"s).add("x", 52, 1, "\3\1\1"s).text(), "x", Type::tlsa);
    EXPECT_EQ(tlsa.associations, (std::vector<Tlsa>{{3, 1, 1, "\xaa\0"s}}));
}

TEST(DnsAnswer, names_that_no_host_has_drop_their_record) {
    const Answer answer = parse_answer(Packet()
                                           .add("x", 15, 1, "\0\1"s + "\5a b\nc\0"s)
                                           .add("x", 15, 1, "\0\2"s + test::name("good_1.example"))
                                           .add("x", 15, 1, "\0\0\0"s)
                                           .add("x", 15, 1, "\0\3"s + test::name("long") + "x")
                                           .text(),
                                       "x", Type::mx);
    EXPECT_EQ(answer.exchanges, (std::vector<Mx>{{2, "good_1.example"}, {0, ""}}));
}

TEST(DnsAnswer, no_more_records_than_its_limit) {
    Packet packet;
    for (std::size_t i = 0; i < records_max + 1; ++i)
        packet.add("x", 1, 1, "\1\2\3\4"s);
    EXPECT_EQ(parse_answer(packet.text(), "x", Type::a).addresses.size(), records_max);
}

TEST(DnsName, what_can_be_asked_for) {
    for (const char* good : {"a", "example.org", "_25._tcp.mx.example", "xn--jrg-sna.example", "A.B"})
        EXPECT_TRUE(is_name(good)) << good;
    for (const char* bad : {"", ".", "a.", ".a", "a..b", "a b", "a\n", "j\xC3\xB6rg", "[1]", "a:b", "a/b"})
        EXPECT_FALSE(is_name(bad)) << bad;
    EXPECT_TRUE(is_name(std::string(63, 'a')));
    EXPECT_FALSE(is_name(std::string(64, 'a')));
    const std::string label = std::string(62, 'a') + ".";
    EXPECT_TRUE(is_name(label + label + label + label + "a"));
    EXPECT_FALSE(is_name(label + label + label + label + "aa"));
}

}  // namespace
}  // namespace pier::dns
