// Where a destination's mail goes (RFC 5321 §5.1): its MX hosts in the order in which they are tried, their
// addresses, or why there are none. Logic alone: what it needs of DNS it asks of Lookups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/network.h"
#include "dns/answer.h"
#include "smtp/session.h"

namespace pier::queue {

class Lookups {
  public:
    virtual ~Lookups() = default;
    virtual dns::Answer ask(const std::string& name, dns::Type type) = 0;  // may wait
};

// A number below `bound`, evenly; tests give their own.
using Choose = std::function<std::size_t(std::size_t bound)>;
Choose random_choice();

struct RouteSettings {
    std::string hostname;           // ours, in lower case: as an MX it means that mail would come back to us
    Networks own;                   // where our own SMTP server listens on the port that is connected to
    std::size_t hosts_max = 10;     // MX hosts that are looked at, the best ones
    std::size_t addresses_max = 6;  // of one host
};

struct MailHost {
    std::string name;                  // lower case; empty: an address literal
    bool authentic = false;            // DNSSEC vouches for this being the domain's mail host
    std::vector<IpAddress> literal{};  // its addresses, if they are known without DNS
};

struct Route {
    std::string domain;           // that was asked about, as DNS knows it; empty: an address literal
    std::vector<MailHost> hosts;  // best first; at least one
};

// The route, or a reply of our own that says why there is none: 5xx for good, 4xx for now.
// `destination`: a domain in lower case, perhaps in UTF-8, or an address literal "[192.0.2.1]",
// "[ipv6:2001:db8::1]".
std::variant<Route, smtp::Reply> find_route(const std::string& destination, const RouteSettings& settings,
                                            Lookups& lookups, const Choose& choose);

struct Addresses {
    // IPv6 and IPv4 alternately, IPv6 first, else in random order. Empty: `trouble` says why.
    std::vector<IpAddress> list;
    bool authentic = false;  // DNSSEC vouches for them
    std::string name;        // of the host behind all CNAMEs; differs from the host's only if it is authentic
    bool ours = false;       // one of them is our own: mail would come back to us. The list is empty then
    smtp::Reply trouble;
};

Addresses find_addresses(const MailHost& host, const RouteSettings& settings, Lookups& lookups,
                         const Choose& choose);

// The address of "[192.0.2.1]" or "[ipv6:2001:db8::1]" (RFC 5321 §4.1.3); absent: it is none.
std::optional<IpAddress> parse_address_literal(std::string_view literal);

}  // namespace pier::queue
