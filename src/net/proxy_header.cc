#include "net/proxy_header.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <vector>

#include <boost/crc.hpp>

namespace pier::net {
namespace {

using boost::asio::ip::address_v4;
using boost::asio::ip::address_v6;

ProxyHeaderMalformed malformed(std::string text) {
    return {"PROXY header: " + std::move(text)};
}

// ---- version 1: "PROXY TCP4 192.0.2.1 198.51.100.1 56324 110\r\n" (§2.1) ----

constexpr std::string_view start_of_v1 = "PROXY ";
constexpr std::size_t v1_octets_max = 107;

std::optional<std::uint16_t> port_of(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool whole = error == std::errc() && end == text.data() + text.size();
    if (!whole || (text.size() > 1 && text[0] == '0')) return std::nullopt;
    return port;
}

std::optional<Endpoint> endpoint_of(bool v6, std::string_view address, std::string_view port) {
    boost::system::error_code failed;
    const auto parsed = boost::asio::ip::make_address(address, failed);
    const auto number = port_of(port);
    if (failed || parsed.is_v6() != v6 || !number) return std::nullopt;
    return Endpoint{parsed, *number, {}};
}

ParsedProxyHeader parse_v1(std::string_view octets) {
    const std::size_t end = octets.substr(0, v1_octets_max).find("\r\n");
    if (end == std::string_view::npos) {
        if (octets.size() < v1_octets_max) return ProxyHeaderIncomplete{};
        return malformed("a line of version 1 has at most 107 octets");
    }
    ProxyHeader header;
    header.octets = end + 2;
    std::vector<std::string_view> words;
    for (std::string_view rest = octets.substr(start_of_v1.size(), end - start_of_v1.size());;) {
        const std::size_t space = rest.find(' ');
        words.push_back(rest.substr(0, space));
        if (space == std::string_view::npos) break;
        rest.remove_prefix(space + 1);
    }
    if (words[0] == "UNKNOWN") return header;  // whatever follows
    if (words.size() != 5 || (words[0] != "TCP4" && words[0] != "TCP6"))
        return malformed("no \"TCP4\" or \"TCP6\" with two addresses and two ports");
    const bool v6 = words[0] == "TCP6";
    const auto client = endpoint_of(v6, words[1], words[3]), server = endpoint_of(v6, words[2], words[4]);
    if (!client || !server) return malformed("an address or a port is none");
    header.has_client = true;
    header.client = *client;
    header.server = *server;
    return header;
}

// ---- version 2 (§2.2) ----

constexpr std::string_view start_of_v2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t fixed_octets = 16;
enum Command : std::uint8_t { local = 0x20, proxied = 0x21 };
enum Family : std::uint8_t { unspecified = 0, ipv4 = 1, ipv6 = 2, unix_socket = 3 };
enum Type : std::uint8_t { crc32c = 0x03, ssl = 0x20, ssl_version = 0x21, ssl_cipher = 0x23 };
constexpr std::uint8_t client_used_ssl = 1;

std::uint8_t octet(std::string_view octets, std::size_t at) {
    return static_cast<std::uint8_t>(octets[at]);
}

std::uint16_t number16(std::string_view octets, std::size_t at) {
    return static_cast<std::uint16_t>(octet(octets, at) << 8 | octet(octets, at + 1));
}

template <class Address>
Endpoint endpoint_at(std::string_view octets, std::size_t address_at, std::size_t port_at) {
    typename Address::bytes_type bytes;
    std::copy_n(octets.begin() + static_cast<std::ptrdiff_t>(address_at), bytes.size(), bytes.begin());
    return {Address(bytes), number16(octets, port_at), {}};
}

// Calls `take` for each type-length-value (§2.2.1); false: they do not fill the octets exactly.
template <class Take>
bool each_value(std::string_view octets, const Take& take) {
    while (!octets.empty()) {
        if (octets.size() < 3) return false;
        const std::size_t length = number16(octets, 1);
        if (octets.size() - 3 < length) return false;
        take(octet(octets, 0), octets.substr(3, length));
        octets.remove_prefix(3 + length);
    }
    return true;
}

// §2.2.3: the sum is that of the whole header with the sum itself as zeros.
bool sum_is_right(std::string_view header, std::string_view value) {
    static constexpr std::array<char, 4> zeros{};
    const auto at = static_cast<std::size_t>(value.data() - header.data());
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> sum;
    sum.process_bytes(header.data(), at);
    sum.process_bytes(zeros.data(), zeros.size());
    sum.process_bytes(header.data() + at + zeros.size(), header.size() - at - zeros.size());
    return sum.checksum() == (std::uint32_t{number16(value, 0)} << 16 | number16(value, 2));
}

// What the log may say of the proxy's TLS: printable and short, or nothing.
std::string shown(std::string_view text) {
    const auto good = [](char c) { return c > ' ' && c <= '~'; };
    return text.size() <= 64 && std::all_of(text.begin(), text.end(), good) ? std::string(text) : "";
}

// §2.2.5: a set of flags, whether the client's certificate was verified, and values again.
bool take_ssl(std::string_view value, std::string& tls) {
    if (value.size() < 5) return false;
    std::string version, cipher;
    const bool whole = each_value(value.substr(5), [&](std::uint8_t type, std::string_view inner) {
        if (type == ssl_version) version = shown(inner);
        if (type == ssl_cipher) cipher = shown(inner);
    });
    if ((octet(value, 0) & client_used_ssl) != 0)
        tls = (version.empty() ? "TLS" : version) + (cipher.empty() ? "" : "/" + cipher);
    return whole;
}

ParsedProxyHeader parse_v2(std::string_view octets) {
    if (octets.size() < fixed_octets) return ProxyHeaderIncomplete{};
    const std::size_t all = fixed_octets + number16(octets, 14);
    if (all > proxy_header_octets_max) return malformed("it is longer than 4,096 octets");
    const std::uint8_t command = octet(octets, 12);
    if (command != local && command != proxied) return malformed("neither version 2's LOCAL nor its PROXY");
    if (octets.size() < all) return ProxyHeaderIncomplete{};
    const std::string_view header = octets.substr(0, all), rest = header.substr(fixed_octets);
    ProxyHeader parsed;
    parsed.octets = all;
    if (command == local) return parsed;

    const std::uint8_t family = octet(header, 13) >> 4;
    const bool stream = (octet(header, 13) & 15) == 1;
    constexpr std::array<std::size_t, 4> address_octets{0, 12, 36, 216};
    if (family > unix_socket) return malformed("an unknown family of addresses");
    if (rest.size() < address_octets[family]) return malformed("its addresses are cut short");
    if (stream && family == ipv4) {
        parsed.client = endpoint_at<address_v4>(rest, 0, 8);
        parsed.server = endpoint_at<address_v4>(rest, 4, 10);
    } else if (stream && family == ipv6) {
        parsed.client = endpoint_at<address_v6>(rest, 0, 32);
        parsed.server = endpoint_at<address_v6>(rest, 16, 34);
    }
    parsed.has_client = stream && (family == ipv4 || family == ipv6);

    bool good = true;
    const bool whole =
        each_value(rest.substr(address_octets[family]), [&](std::uint8_t type, std::string_view value) {
            if (type == crc32c) good = good && value.size() == 4 && sum_is_right(header, value);
            if (type == ssl) good = good && take_ssl(value, parsed.tls);
        });
    if (!whole || !good) return malformed("a value in it is malformed, or its checksum is wrong");
    return parsed;
}

}  // namespace

ParsedProxyHeader parse_proxy_header(std::string_view octets) {
    if (octets.starts_with(start_of_v1)) return parse_v1(octets);
    if (octets.starts_with(start_of_v2)) return parse_v2(octets);
    if (start_of_v1.starts_with(octets) || start_of_v2.starts_with(octets)) return ProxyHeaderIncomplete{};
    return malformed("there is none; the proxy must send it (send-proxy, send-proxy-v2)");
}

}  // namespace pier::net
