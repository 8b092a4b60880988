// How mail is carried to other servers: what the administrator may choose, and limits. Values.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/network.h"
#include "net/endpoint.h"

namespace pier::queue {

// One server that takes all outgoing mail, in place of the destinations' MX hosts.
struct Smarthost {
    // Its certificate must be for `host` and of an authority of TransportSettings::ca_file.
    enum class Tls {
        starttls,  // port 587 (RFC 6409), or 25
        implicit,  // port 465 (RFC 8314 §3.3)
        none,      // in clear: only for servers on this machine or in a closed network; no password is sent
                   // to another machine then
    };
    std::string host;  // a name, whose A and AAAA records are asked for, or an address
    std::uint16_t port = 587;
    Tls tls = Tls::starttls;
    std::string user;           // empty: no login
    std::string password_file;  // its first line is the password; read by make(), before the sandbox
};

// TLS to MX hosts that neither DANE nor MTA-STS says anything about.
enum class OutgoingTls {
    none,           // never; for tests and closed networks. DANE and MTA-STS still hold
    opportunistic,  // where it is offered, whoever it is; in clear if the handshake fails (RFC 7435)
    required,       // no mail without it, whoever it is
};

// RFC 5321 §4.5.3.2, which says how long a client waits at least; connecting and TLS are ours.
struct TransportTimes {
    std::chrono::milliseconds connect{30'000};
    std::chrono::milliseconds tls{60'000};  // for each step of the handshake
    std::chrono::milliseconds greeting{300'000};
    std::chrono::milliseconds command{300'000};  // EHLO, STARTTLS, AUTH, RSET, MAIL, RCPT
    std::chrono::milliseconds data{120'000};
    std::chrono::milliseconds block{180'000};  // until a block of the message was taken
    std::chrono::milliseconds end_of_data{600'000};
    std::chrono::milliseconds quit{5'000};
    std::chrono::milliseconds sts_policy{15'000};  // for fetching one
};

struct TransportSettings {
    std::string hostname;  // for EHLO, and to know ourselves among MX hosts: lower case
    OutgoingTls tls = OutgoingTls::opportunistic;
    bool dane = true;     // RFC 7672; takes effect only with a resolver whose AD bit is believed
    bool mta_sts = true;  // RFC 8461
    std::optional<Smarthost> smarthost;
    std::uint16_t smtp_port = 25;    // of MX hosts; another one is for tests
    std::uint16_t https_port = 443;  // of MTA-STS policies; another one is for tests
    // PEM: the authorities for MTA-STS and the smarthost; empty: the system's,
    // /etc/ssl/certs/ca-certificates.crt. Read by make(), before the sandbox.
    std::string ca_file;
    // Which of our addresses connections come from: the first IPv4 and the first IPv6 one; empty: the kernel
    // chooses.
    std::vector<IpAddress> source_addresses;
    // Where our own SMTP servers listen: what leads there is a loop and is not connected to.
    std::vector<net::Endpoint> listeners;

    std::size_t connections_max = 50;  // at a time, each with a thread; more lanes wait
    std::size_t attempts_max = 8;      // addresses that a lane connects to
    std::size_t messages_per_connection_max = 100;
    std::size_t recipients_per_message_max = 100;  // RFC 5321 §4.5.3.1.8; more go in another transaction
    std::size_t sts_domains_max = 5000;            // whose policies are remembered
    TransportTimes times;
};

}  // namespace pier::queue
