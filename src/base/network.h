// IP networks as administrators write them ("192.0.2.0/24", "2001:db8::/32", or one address), for lists of
// who may and who may not. Values; any thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "base/result.h"

namespace pier {

using IpAddress = boost::asio::ip::address;

class Network {
  public:
    // `invalid` says what is wrong and what to write: also when bits of the address lie outside the network
    // ("192.0.2.7/24" may be meant as either).
    static Result<Network> parse(std::string_view text);

    // Who is counted as one: an IPv4 address alone (also when mapped into IPv6), of IPv6 the /64, because a
    // customer has a /64 for himself.
    static Network of_one(const IpAddress& address);

    bool contains(const IpAddress& address) const;
    bool contains(const Network& other) const;
    std::string text() const;  // "192.0.2.0/24"; without "/32" or "/128" for one address

    auto operator<=>(const Network&) const = default;

  private:
    using Octets = std::array<std::uint8_t, 16>;  // IPv4 mapped into IPv6 (RFC 4291 §2.5.5.2)
    Network(const Octets& octets, unsigned bits) : octets_(octets), bits_(bits) {}
    static Octets mapped(const IpAddress& address);
    static Octets masked(Octets octets, unsigned bits);
    bool is_v4() const;

    Octets octets_{};
    unsigned bits_ = 0;  // of 128
};

using Networks = std::vector<Network>;

bool contains(std::span<const Network> networks, const IpAddress& address);

// Who may come: those in `allow` (everybody if it is empty), but for those in `deny`.
struct AccessList {
    Networks allow, deny;
    bool admits(const IpAddress& address) const;
};

// All of them, or `invalid` with the first that is none.
Result<Networks> parse_networks(std::span<const std::string> texts);
std::vector<std::string> texts_of(std::span<const Network> networks);

}  // namespace pier
