// The PROXY protocol's headers: the forms of its text, cut short anywhere, and bent.
#include "net/proxy_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pier::net {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

ProxyHeader good(const std::string& octets) {
    const auto parsed = parse_proxy_header(octets);
    const auto* bad = std::get_if<ProxyHeaderMalformed>(&parsed);
    EXPECT_EQ(bad, nullptr) << (bad == nullptr ? "" : bad->text);
    const auto* header = std::get_if<ProxyHeader>(&parsed);
    return header == nullptr ? ProxyHeader() : *header;
}

std::string why_malformed(const std::string& octets) {
    const auto parsed = parse_proxy_header(octets);
    const auto* bad = std::get_if<ProxyHeaderMalformed>(&parsed);
    return bad == nullptr ? "" : bad->text;
}

std::string length(std::size_t octets) {
    return {static_cast<char>(octets >> 8), static_cast<char>(octets & 0xFF)};
}

std::string value(char type, const std::string& octets) {
    return type + length(octets.size()) + octets;
}

std::string v2(char command, char family, const std::string& rest) {
    return "\r\n\r\n\0\r\nQUIT\n"s + command + family + length(rest.size()) + rest;
}

const std::string v4_addresses =
    "\xC0\x00\x02\x01\xC6\x33\x64\x01\xDC\x04\x00\x6E"s;  // 192.0.2.1:56324, 198.51.100.1:110

TEST(ProxyHeaderV1, SaysWhoTheClientIs) {
    const auto v4 = good("PROXY TCP4 192.0.2.1 198.51.100.1 56324 110\r\nUSER ada\r\n");
    EXPECT_EQ(v4.octets, 45u);
    EXPECT_TRUE(v4.has_client);
    EXPECT_EQ(v4.client.text(), "192.0.2.1:56324");
    EXPECT_EQ(v4.server.text(), "198.51.100.1:110");
    EXPECT_EQ(v4.tls, "");
    const auto v6 = good("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n");
    EXPECT_EQ(v6.client.text(), "[2001:db8::1]:0");
    EXPECT_EQ(v6.server.text(), "[2001:db8::2]:65535");
    for (const auto unknown : {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"})
        EXPECT_FALSE(good(unknown).has_client) << unknown;
}

TEST(ProxyHeaderV1, TakesNothingElse) {
    for (const auto bad :
         {"PROXY \r\n", "PROXY TCP4\r\n", "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
          "PROXY TCP4 192.0.2.1 198.51.100.1 56324 110 \r\n", "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
          "PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n", "PROXY TCP4 192.0.2.1 198.51.100.1 65536 110\r\n",
          "PROXY TCP4 192.0.2.1 198.51.100.1 -1 110\r\n", "PROXY TCP4 192.0.2.1 198.51.100.1 01 110\r\n",
          "PROXY TCP4  192.0.2.1 198.51.100.1 1 110\r\n", "PROXY TCP4 192.0.2 198.51.100.1 1 110\r\n",
          "PROXY UDP4 192.0.2.1 198.51.100.1 1 110\r\n", "PROXY tcp4 192.0.2.1 198.51.100.1 1 110\r\n"})
        EXPECT_NE(why_malformed(bad), "") << bad;
    EXPECT_THAT(why_malformed("USER ada\r\n"), HasSubstr("there is none"));
    EXPECT_THAT(why_malformed("proxy TCP4"), HasSubstr("there is none"));
}

TEST(ProxyHeaderV1, HasAtMost107Octets) {
    const auto padded = [](std::size_t octets) {
        return "PROXY UNKNOWN " + std::string(octets - 16, 'x') + "\r\n";
    };
    EXPECT_EQ(good(padded(106)).octets, 106u);
    EXPECT_EQ(good(padded(107)).octets, 107u);
    EXPECT_THAT(why_malformed(padded(108)), HasSubstr("107"));
    EXPECT_THAT(why_malformed("PROXY " + std::string(101, 'x')), HasSubstr("107"));
}

TEST(ProxyHeaderV2, SaysWhoTheClientIs) {
    const auto v4 = good(v2('\x21', '\x11', v4_addresses) + "\x16\x03\x01");
    EXPECT_EQ(v4.octets, 28u);
    EXPECT_EQ(v4.client.text(), "192.0.2.1:56324");
    EXPECT_EQ(v4.server.text(), "198.51.100.1:110");
    const std::string one = "\x20\x01\x0D\xB8"s + std::string(11, '\0') + "\x01",
                      two = one.substr(0, 15) + "\x02";
    const auto v6 = good(v2('\x21', '\x21', one + two + "\x00\x01\x03\xE3"s));
    EXPECT_EQ(v6.client.text(), "[2001:db8::1]:1");
    EXPECT_EQ(v6.server.text(), "[2001:db8::2]:995");
}

TEST(ProxyHeaderV2, TheProxyMaySpeakForItself) {
    EXPECT_FALSE(good(v2('\x20', '\x00', "")).has_client);
    EXPECT_FALSE(good(v2('\x20', '\x11', v4_addresses)).has_client)
        << "LOCAL: the addresses count for nothing";
    EXPECT_FALSE(good(v2('\x21', '\x00', "")).has_client);
    EXPECT_FALSE(good(v2('\x21', '\x31', std::string(216, 'x'))).has_client);
    EXPECT_FALSE(good(v2('\x21', '\x12', v4_addresses)).has_client) << "datagrams";
}

TEST(ProxyHeaderV2, TellsOfTheClientsTls) {
    const std::string verified(4, '\0');
    const auto with = [&](const std::string& ssl) {
        return good(v2('\x21', '\x11', v4_addresses + value('\x05', "id") + value('\x20', ssl))).tls;
    };
    EXPECT_EQ(with("\x01" + verified + value('\x21', "TLSv1.3") + value('\x23', "TLS_AES_128_GCM_SHA256")),
              "TLSv1.3/TLS_AES_128_GCM_SHA256");
    EXPECT_EQ(with("\x05" + verified), "TLS");
    EXPECT_EQ(with("\x00"s + verified + value('\x21', "TLSv1.3")), "") << "the client did not use it";
    EXPECT_EQ(with("\x01" + verified + value('\x21', "TLS\nv1.3")), "TLS") << "nothing bent for the log";
}

TEST(ProxyHeaderV2, ItsChecksumIsLookedAt) {
    // CRC-32C over the header with zeros in its place.
    const auto with = [](const std::string& sum) {
        return v2('\x21', '\x11', v4_addresses + value('\x03', sum));
    };
    const auto crc32c = [](const std::string& octets) {
        std::uint32_t sum = 0xFFFFFFFF;
        for (const char c : octets) {
            sum ^= static_cast<unsigned char>(c);
            for (int bit = 0; bit < 8; ++bit)
                sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0x82F63B78 : 0);
        }
        return ~sum;
    };
    ASSERT_EQ(crc32c("123456789"), 0xE3069283u);
    const std::uint32_t sum = crc32c(with(std::string(4, '\0')));
    std::string octets;
    for (int shift = 24; shift >= 0; shift -= 8)
        octets += static_cast<char>(sum >> shift);
    EXPECT_TRUE(good(with(octets)).has_client);
    octets[3] = static_cast<char>(octets[3] ^ 1);
    EXPECT_THAT(why_malformed(with(octets)), HasSubstr("checksum"));
    EXPECT_THAT(why_malformed(with(octets.substr(1))), HasSubstr("checksum"));
}

TEST(ProxyHeaderV2, TakesNothingElse) {
    for (const auto& bad :
         {v2('\x22', '\x11', v4_addresses), v2('\x11', '\x11', v4_addresses),
          v2('\x21', '\x41', std::string(300, 'x')), v2('\x21', '\x11', v4_addresses.substr(1)),
          v2('\x21', '\x21', v4_addresses), v2('\x21', '\x31', v4_addresses),
          v2('\x21', '\x11', v4_addresses + "\x04"), v2('\x21', '\x11', v4_addresses + "\x04\x00\x05xxxx"s),
          v2('\x21', '\x11', v4_addresses + value('\x20', "abcd")),
          v2('\x21', '\x11', v4_addresses + value('\x20', "abcde\x21\x00"s))})
        EXPECT_NE(why_malformed(bad), "");
    EXPECT_NE(why_malformed("\r\n\r\n\0\r\nQUIT\r"s), "");
}

TEST(ProxyHeaderV2, HasALimit) {
    const auto padded = [](std::size_t octets) {
        return v2('\x21', '\x00', value('\x04', std::string(octets - 16 - 3, '\0')));
    };
    EXPECT_EQ(good(padded(proxy_header_octets_max)).octets, proxy_header_octets_max);
    EXPECT_THAT(why_malformed(padded(proxy_header_octets_max + 1)), HasSubstr("longer than"));
    EXPECT_THAT(why_malformed(padded(proxy_header_octets_max + 1).substr(0, 16)), HasSubstr("longer than"))
        << "before it has come";
}

TEST(ProxyHeader, MayComeInPieces) {
    for (const auto& whole : {"PROXY TCP4 192.0.2.1 198.51.100.1 56324 110\r\n"s,
                              v2('\x21', '\x11', v4_addresses + value('\x04', "pad"))})
        for (std::size_t octets = 0; octets < whole.size(); ++octets)
            EXPECT_TRUE(
                std::holds_alternative<ProxyHeaderIncomplete>(parse_proxy_header(whole.substr(0, octets))))
                << octets;
}

}  // namespace
}  // namespace pier::net
