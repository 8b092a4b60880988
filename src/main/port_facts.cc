#include "main/port_facts.h"

#include <fmt/format.h>

namespace pier::program {

std::vector<watch::ConfiguredPort> configured_ports(const Config& config) {
    std::vector<watch::ConfiguredPort> out;
    for (const ListenerConfig& listener : config.listeners) {
        if (!listener.path.empty() || listener.port == 0) continue;
        const bool v6 = listener.address.find(':') != std::string::npos;
        watch::ConfiguredPort one{listener.name,
                                  v6 ? fmt::format("[{}]:{}", listener.address, listener.port)
                                     : fmt::format("{}:{}", listener.address, listener.port),
                                  {},
                                  listener.port};
        boost::system::error_code error;
        if (listener.address == "*")
            one.addresses = {IpAddress(boost::asio::ip::address_v4::any()),
                             IpAddress(boost::asio::ip::address_v6::any())};
        else if (const auto address = boost::asio::ip::make_address(listener.address, error); !error)
            one.addresses = {address};
        out.push_back(std::move(one));
    }
    return out;
}

}  // namespace pier::program
