#include "net/endpoint.h"

#include <algorithm>

#include <fmt/format.h>

namespace pier::net {

std::string Endpoint::text() const {
    if (is_unix()) return "unix:" + unix_path;
    if (address.is_v6()) return fmt::format("[{}]:{}", address.to_string(), port);
    return fmt::format("{}:{}", address.to_string(), port);
}

std::string network_of(const Endpoint& peer) {
    if (peer.is_unix()) return "unix";
    if (peer.address.is_v4()) return peer.address.to_string();
    const auto v6 = peer.address.to_v6();
    if (v6.is_v4_mapped())
        return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, v6).to_string();
    auto bytes = v6.to_bytes();
    std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
    return boost::asio::ip::address_v6(bytes).to_string() + "/64";
}

}  // namespace pier::net
