#include "base/network.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace pier {
namespace {

namespace ip = boost::asio::ip;

constexpr unsigned bits_in_all = 128, bits_before_v4 = 96;

Error wrong(std::string_view text, std::string_view why) {
    return {ErrorKind::invalid, fmt::format("\"{}\" is not a network: {}", text, why)};
}

}  // namespace

Network::Octets Network::mapped(const IpAddress& address) {
    if (address.is_v6()) return address.to_v6().to_bytes();
    return ip::make_address_v6(ip::v4_mapped, address.to_v4()).to_bytes();
}

Network::Octets Network::masked(Octets octets, unsigned bits) {
    for (unsigned i = 0; i < octets.size(); ++i) {
        const unsigned kept = std::clamp(bits, i * 8, i * 8 + 8) - i * 8;
        octets[i] = static_cast<std::uint8_t>(octets[i] & (0xFF00u >> kept));
    }
    return octets;
}

bool Network::is_v4() const {
    return bits_ >= bits_before_v4 && ip::address_v6(octets_).is_v4_mapped();
}

Result<Network> Network::parse(std::string_view text) {
    const std::size_t slash = text.find('/');
    boost::system::error_code failed;
    const IpAddress address = ip::make_address(std::string(text.substr(0, slash)), failed);
    if (failed || (address.is_v6() && address.to_v6().scope_id() != 0))
        return wrong(text, "write an IP address, or one with the length of its prefix, as in 192.0.2.0/24");
    const unsigned most = address.is_v4() ? bits_in_all - bits_before_v4 : bits_in_all;
    unsigned bits = most;
    if (slash != std::string_view::npos) {
        const std::string_view digits = text.substr(slash + 1);
        const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
        if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || bits > most)
            return wrong(text, fmt::format("its prefix has from 0 to {} bits", most));
    }
    bits += bits_in_all - most;
    const Network network(masked(mapped(address), bits), bits);
    if (network.octets_ != mapped(address))
        return wrong(text, fmt::format("the address has bits outside the prefix; write {} or {}",
                                       network.text(), address.to_string()));
    return network;
}

Network Network::of_one(const IpAddress& address) {
    const Octets octets = mapped(address);
    const unsigned bits = ip::address_v6(octets).is_v4_mapped() ? bits_in_all : 64;
    return {masked(octets, bits), bits};
}

bool Network::contains(const IpAddress& address) const {
    return masked(mapped(address), bits_) == octets_;
}

bool Network::contains(const Network& other) const {
    return other.bits_ >= bits_ && masked(other.octets_, bits_) == octets_;
}

std::string Network::text() const {
    const ip::address_v6 v6(octets_);
    const std::string address = is_v4() ? ip::make_address_v4(ip::v4_mapped, v6).to_string() : v6.to_string();
    if (bits_ == bits_in_all) return address;
    return fmt::format("{}/{}", address, is_v4() ? bits_ - bits_before_v4 : bits_);
}

bool contains(std::span<const Network> networks, const IpAddress& address) {
    return std::any_of(networks.begin(), networks.end(),
                       [&](const Network& network) { return network.contains(address); });
}

bool AccessList::admits(const IpAddress& address) const {
    return (allow.empty() || contains(allow, address)) && !contains(deny, address);
}

Result<Networks> parse_networks(std::span<const std::string> texts) {
    Networks networks;
    for (const std::string& text : texts) {
        const auto network = Network::parse(text);
        if (!network) return network.error();
        networks.push_back(*network);
    }
    return networks;
}

std::vector<std::string> texts_of(std::span<const Network> networks) {
    std::vector<std::string> texts;
    for (const Network& network : networks)
        texts.push_back(network.text());
    return texts;
}

}  // namespace pier
