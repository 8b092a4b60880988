// What DNS has answered: octets (RFC 1035 §4.1) become records. Whoever can answer in the resolver's place
// can send anything: every length is checked, names are followed backwards only, and a name with characters
// that no host name has drops its record. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/network.h"

namespace pier::dns {

enum class Type : std::uint16_t {
    a = 1,
    cname = 5,
    soa = 6,
    mx = 15,
    txt = 16,
    aaaa = 28,
    srv = 33,
    tlsa = 52
};

std::string_view to_string(Type type);  // "MX"

struct Mx {  // RFC 1035 §3.3.9
    std::uint16_t preference = 0;
    std::string exchange;  // lower case, no dot at its end; empty: the root, a null MX (RFC 7505 §3)
    bool operator==(const Mx&) const = default;
};

struct Tlsa {  // RFC 6698 §2.1
    std::uint8_t usage = 0, selector = 0, matching = 0;
    std::string data;  // raw octets
    bool operator==(const Tlsa&) const = default;
};

struct Srv {  // RFC 2782
    std::uint16_t priority = 0, weight = 0, port = 0;
    std::string target;  // lower case, no dot at its end; empty: the root, the service is not offered
    bool operator==(const Srv&) const = default;
};

struct Answer {
    enum class Kind {
        found,
        no_name,  // NXDOMAIN (RFC 2308 §2.1)
        no_data,  // the name is there, records of this type are not (RFC 2308 §2.2)
        failed,   // nothing is known: no answer, SERVFAIL, nonsense; ask again later
    };
    Kind kind = Kind::failed;
    // The resolver vouches for it, also that it is not there: it has verified DNSSEC (RFC 4035 §3.2.3), and
    // it is one that may be believed.
    bool authentic = false;
    std::string why;          // failed: in plain words
    std::uint32_t ttl_s = 0;  // how long it may be kept; 0: not at all
    std::string name;         // what was asked for, behind all CNAMEs

    // As asked for, in the answer's order; found: at least one.
    std::vector<IpAddress> addresses;  // A, AAAA
    std::vector<Mx> exchanges;
    std::vector<std::string> texts;  // TXT, the strings of each joined; raw octets
    std::vector<Tlsa> associations;
    std::vector<Srv> services;

    // How many records, of whatever type.
    std::size_t records() const;
};

inline constexpr std::size_t records_max = 500;  // of an answer; what is behind is not looked at
inline constexpr unsigned aliases_max = 16;      // CNAMEs, one behind the other

// `name`: what was asked for, in lower case. `authentic` is the AD bit.
Answer parse_answer(std::string_view octets, std::string_view name, Type type);

// A name that can be asked for: labels of 1 to 63 letters, digits, '-' and '_', at most 253 octets.
bool is_name(std::string_view name);

}  // namespace pier::dns
