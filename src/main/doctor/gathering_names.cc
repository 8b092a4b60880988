// DNS, and rspamd.
#include <algorithm>
#include <cstring>

#include <sys/un.h>

#include "main/config_queue.h"
#include "main/doctor/gathering.h"
#include "main/domain_lookup.h"
#include "net/client_connection.h"

namespace pier::program::doctor {
namespace {

constexpr std::chrono::milliseconds filter_time{5000};
constexpr std::string_view ping = "GET /ping HTTP/1.0\r\n\r\n";

Result<std::unique_ptr<net::ClientConnection>> connect(const std::string& where) {
    if (where.starts_with('/')) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (where.size() >= sizeof address.sun_path) return Error{ErrorKind::invalid, "the path is too long"};
        std::copy(where.begin(), where.end(), address.sun_path);
        return net::ClientConnection::connect(reinterpret_cast<const sockaddr*>(&address), sizeof address,
                                              filter_time, {});
    }
    const std::size_t colon = where.rfind(':');
    std::string host = where.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    boost::system::error_code error;
    const IpAddress address = boost::asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
    if (error || colon == std::string::npos) return Error{ErrorKind::invalid, "it is no address with a port"};
    return net::ClientConnection::connect(
        address, static_cast<std::uint16_t>(std::strtoul(where.c_str() + colon + 1, nullptr, 10)),
        filter_time, {});
}

}  // namespace

DnsFacts dns_facts(const Config& config, const std::vector<std::string>& domains, bool of_domains) {
    DnsFacts out;
    out.host = config.server.hostname;
    auto settings = resolver_settings(config);
    settings.time_max = std::chrono::seconds(10);
    const auto resolver = dns::Resolver::make(std::move(settings));
    if (!resolver) {
        out.unanswered = resolver.error().text;
        return out;
    }
    const auto began = std::chrono::steady_clock::now();
    for (const dns::Type type : {dns::Type::a, dns::Type::aaaa}) {
        const dns::Answer answer = (*resolver)->ask(out.host, type);
        if (type == dns::Type::a)
            out.time = std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::steady_clock::now() - began);
        if (answer.kind == dns::Answer::Kind::failed) {
            out.unanswered = answer.why;
            return out;
        }
        for (const IpAddress& address : answer.addresses)
            out.addresses.push_back(address.to_string());
    }
    if (!of_domains) return out;
    for (const std::string& domain : domains) {
        const auto known = own_domain_facts(config, domain);
        if (!known) continue;
        DomainDnsFacts& facts = out.domains.emplace_back(DomainDnsFacts{domain, {}});
        for (const DnsRecord& record : domain_records(*known))
            facts.records.push_back(look_up(**resolver, record));
    }
    return out;
}

FilterFacts filter_facts(const FilterConfig& filter) {
    FilterFacts out{filter.rspamd, {}, filter.refuse_when_down};
    const auto connection = connect(filter.rspamd);
    if (!connection) {
        out.problem = connection.error().text;
        return out;
    }
    if (const auto written = (*connection)->write(ping, filter_time); !written) {
        out.problem = written.error().text;
        return out;
    }
    const auto answer = (*connection)->read(filter_time);
    if (!answer)
        out.problem = answer.error().text;
    else if (!answer->starts_with("HTTP/"))
        out.problem = "what answers there is not rspamd";
    return out;
}

}  // namespace pier::program::doctor
