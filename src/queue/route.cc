#include "queue/route.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "base/random.h"
#include "dns/idna.h"
#include "wire/ascii.h"

namespace pier::queue {
namespace {

using Kind = dns::Answer::Kind;

template <class T>
void shuffle(std::vector<T>& list, const Choose& choose) {
    for (std::size_t i = list.size(); i > 1; --i)
        std::swap(list[i - 1], list[choose(i)]);
}

smtp::Reply dns_trouble(const std::string& name, dns::Type type, const dns::Answer& answer) {
    return {451, "4.4.3",
            fmt::format("DNS cannot be asked for {} ({}): {}", name, to_string(type), answer.why)};
}

// The hosts by preference, those of one preference in random order (RFC 5321 §5.1).
std::vector<MailHost> in_order(const dns::Answer& answer, const Choose& choose, std::string_view hostname,
                               bool& cut) {
    std::map<std::uint16_t, std::vector<MailHost>> by_preference;
    for (const dns::Mx& mx : answer.exchanges)
        if (!mx.exchange.empty()) by_preference[mx.preference].push_back({mx.exchange, answer.authentic, {}});
    std::vector<MailHost> hosts;
    for (auto& [preference, equals] : by_preference) {
        // Those that are no better than we are would send it to us.
        if (std::ranges::find(equals, hostname, &MailHost::name) != equals.end()) {
            cut = true;
            break;
        }
        shuffle(equals, choose);
        std::ranges::move(equals, std::back_inserter(hosts));
    }
    return hosts;
}

smtp::Reply loops(const std::string& domain) {
    return {554, "5.4.6",
            fmt::format("mail for {} would come back to this server, which does not take it", domain)};
}

}  // namespace

Choose random_choice() {
    return [](std::size_t bound) {
        std::uint64_t number = 0;
        random_bytes({reinterpret_cast<unsigned char*>(&number), sizeof number});
        return static_cast<std::size_t>(number % bound);  // bounds are small: even enough
    };
}

std::optional<IpAddress> parse_address_literal(std::string_view literal) {
    if (literal.size() < 3 || literal.front() != '[' || literal.back() != ']') return std::nullopt;
    literal = literal.substr(1, literal.size() - 2);
    boost::system::error_code code;
    constexpr std::string_view tag = "ipv6:";
    if (wire::ascii_starts_with(literal, tag)) {
        const auto address = boost::asio::ip::make_address_v6(std::string(literal.substr(tag.size())), code);
        if (code || address.scope_id() != 0) return std::nullopt;
        return IpAddress(address);
    }
    const auto address = boost::asio::ip::make_address_v4(std::string(literal), code);
    if (code) return std::nullopt;
    return IpAddress(address);
}

std::variant<Route, smtp::Reply> find_route(const std::string& destination, const RouteSettings& settings,
                                            Lookups& lookups, const Choose& choose) {
    Route route;
    if (destination.starts_with('[')) {
        const auto address = parse_address_literal(destination);
        if (!address) return smtp::Reply{550, "5.1.2", fmt::format("{} is no address", destination)};
        route.hosts.push_back({"", false, {*address}});
        return route;
    }
    const auto domain = dns::to_ascii(destination);
    if (!domain) return smtp::Reply{550, "5.1.2", fmt::format("{} is no domain", destination)};
    route.domain = *domain;
    const dns::Answer answer = lookups.ask(*domain, dns::Type::mx);
    switch (answer.kind) {
        case Kind::failed:
            return dns_trouble(*domain, dns::Type::mx, answer);
        case Kind::no_name:
            return smtp::Reply{550, "5.1.2", fmt::format("there is no domain {}", destination)};
        case Kind::no_data:  // the domain itself is its mail host
            if (*domain == settings.hostname) return loops(destination);
            route.hosts.push_back({*domain, answer.authentic, {}});
            return route;
        case Kind::found:
            break;
    }
    bool cut = false;
    route.hosts = in_order(answer, choose, settings.hostname, cut);
    if (route.hosts.empty() && !cut)  // RFC 7505: every MX is the root
        return smtp::Reply{556, "5.1.10", fmt::format("{} does not take mail (null MX)", destination)};
    if (route.hosts.empty()) return loops(destination);
    if (route.hosts.size() > settings.hosts_max) route.hosts.resize(settings.hosts_max);
    return route;
}

Addresses find_addresses(const MailHost& host, const RouteSettings& settings, Lookups& lookups,
                         const Choose& choose) {
    Addresses found;
    found.name = host.name;
    std::vector<IpAddress> six, four;
    if (!host.literal.empty()) {
        for (const IpAddress& address : host.literal)
            (address.is_v6() ? six : four).push_back(address);
    } else {
        dns::Answer answer_six = lookups.ask(host.name, dns::Type::aaaa);
        dns::Answer answer_four = lookups.ask(host.name, dns::Type::a);
        six = std::move(answer_six.addresses);
        four = std::move(answer_four.addresses);
        const bool none = six.empty() && four.empty();
        const bool failed = answer_six.kind == Kind::failed || answer_four.kind == Kind::failed;
        if (none && failed) {
            const bool by_six = answer_six.kind == Kind::failed;
            found.trouble = dns_trouble(host.name, by_six ? dns::Type::aaaa : dns::Type::a,
                                        by_six ? answer_six : answer_four);
            return found;
        }
        if (none) {
            found.trouble = {550, "5.4.4", fmt::format("the mail host {} has no address", host.name)};
            return found;
        }
        // What is used of the two counts (RFC 7672 §2.2.2).
        found.authentic = (six.empty() || answer_six.authentic) && (four.empty() || answer_four.authentic);
        if (found.authentic) found.name = six.empty() ? answer_four.name : answer_six.name;
    }
    // Attack: the unspecified address leads to this machine.
    const auto is_ours = [&](const IpAddress& address) {
        return address.is_unspecified() || contains(settings.own, address);
    };
    if (std::ranges::any_of(six, is_ours) || std::ranges::any_of(four, is_ours)) {
        found.ours = true;
        found.trouble = loops(host.name.empty() ? host.literal.front().to_string() : host.name);
        return found;
    }
    shuffle(six, choose);
    shuffle(four, choose);
    for (std::size_t i = 0; i < std::max(six.size(), four.size()); ++i) {
        if (i < six.size()) found.list.push_back(six[i]);
        if (i < four.size()) found.list.push_back(four[i]);
    }
    if (found.list.size() > settings.addresses_max) found.list.resize(settings.addresses_max);
    return found;
}

}  // namespace pier::queue
