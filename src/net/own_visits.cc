#include "net/own_visits.h"

#include <algorithm>

namespace pier::net {
namespace {

// A socket for both families tells an IPv4 client by an IPv6 address.
IpAddress plain(const IpAddress& address) {
    if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
    return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6());
}

}  // namespace

void OwnVisits::note(const IpAddress& address, std::uint16_t port, Instant now) {
    const std::lock_guard lock(mutex_);
    while (!visits_.empty() && (visits_.size() >= kept_max || now - visits_.front().begun > kept_for))
        visits_.pop_front();
    visits_.push_back({plain(address), port, now});
}

bool OwnVisits::knows(const IpAddress& address, std::uint16_t port, Instant now) const {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(visits_, [&, from = plain(address)](const Visit& visit) {
        return visit.port == port && visit.address == from && now - visit.begun <= kept_for;
    });
}

}  // namespace pier::net
