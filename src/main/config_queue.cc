#include "main/config_queue.h"

#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include <boost/asio/ip/address.hpp>
#include <fmt/format.h>

#include "main/config_fields.h"

namespace pier::program {
namespace {

using namespace std::string_view_literals;

constexpr std::array smarthost_tls_words{"starttls"sv, "implicit"sv, "none"sv};
constexpr std::array tls_words{"none"sv, "opportunistic"sv, "required"sv};
constexpr std::array trust_ad_words{"automatic"sv, "on"sv, "off"sv};
constexpr std::size_t host_octets_max = 260, user_octets_max = 500, servers_max = 8, addresses_max = 2;

bool is_address(const std::string& text) {
    boost::system::error_code error;
    boost::asio::ip::make_address(text, error);
    return !error;
}

// "host", "host:port", "192.0.2.1:25", "[2001:db8::1]:25"; absent: it is none of these.
std::optional<queue::Smarthost> parse_smarthost(std::string_view text) {
    queue::Smarthost smarthost;
    std::string_view port;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        smarthost.host = text.substr(1, end - 1);
        port = text.substr(end + 1);
    } else {
        const std::size_t colon = text.find(':');
        smarthost.host = text.substr(0, colon);
        if (colon != std::string_view::npos) port = text.substr(colon);
    }
    if (smarthost.host.empty() || smarthost.host.find_first_of(" @/") != std::string::npos)
        return std::nullopt;
    if (port.empty()) return smarthost;
    const char* const end = port.data() + port.size();
    const auto [rest, error] = std::from_chars(port.data() + 1, end, smarthost.port);
    if (port.front() != ':' || error != std::errc() || rest != end || smarthost.port == 0)
        return std::nullopt;
    return smarthost;
}

#define AT(member)                      \
    [](auto& c, std::size_t) -> auto& { \
        return c.member;                \
    }

}  // namespace

Section queue_section() {
    return {
        .name = "queue",
        .help = "Mail for other servers: kept until it is delivered, or its sender told why not.",
        .fields = {
            flag("enabled", AT(queue.enabled),
                 "Whether mail is sent to other servers at all. Without it the sandbox lets the server make "
                 "no connection."),
            count("messages_max", AT(queue.messages_max), {1, 10'000'000},
                  "Messages in the queue, about 400 octets of memory each; beyond that clients are told to "
                  "try again later."),
            count("connections_max", AT(queue.connections_max), {1, 10'000},
                  "Connections to other servers at once, in all."),
            count("connections_per_destination_max", AT(queue.connections_per_destination_max), {1, 1000},
                  "Connections at once for one domain."),
            count("messages_per_minute", AT(queue.messages_per_minute), {0, 1'000'000},
                  "Messages to one domain in a minute. 0: no limit."),
            duration("retry_first", AT(queue.retry_first), {1, day},
                     "How long after the first try the second one comes; then it takes twice as long each "
                     "time."),
            duration("retry_max", AT(queue.retry_max), {1, 7 * day}, "The longest time between two tries."),
            duration("give_up_after", AT(queue.give_up_after), {minute, 365 * day},
                     "A message that could not be delivered for so long goes back to its sender. RFC 5321 "
                     "§4.5.4.1 asks for four to five days."),
            duration("delay_notice_after", AT(queue.delay_notice_after), {0, 365 * day},
                     "A sender is told, once, that his message has been waiting for so long. 0: never."),
            octets("bounce_original_size_max", AT(queue.bounce_octets_max), {0, 16 * mib},
                   "A message up to this size goes back whole when it could not be delivered, a larger one "
                   "as its header alone."),
            text(
                "smarthost", Kind::text, AT(queue.smarthost), host_octets_max,
                "One server that takes all of it, as \"mail.example.net:587\". Empty: each domain's own mail "
                "hosts (MX) get it."),
            word("smarthost_tls", AT(queue.smarthost_tls), smarthost_tls_words,
                 "How the connection to the smarthost is encrypted; it must show a certificate for its name. "
                 "none is for servers on this machine or in a closed network."),
            text("smarthost_user", Kind::text, AT(queue.smarthost_user), user_octets_max,
                 "As whom Pier logs in there. Empty: it does not."),
            text("smarthost_password_file", Kind::path, AT(queue.smarthost_password_file), path_octets_max,
                 "A file whose first line is the password for that."),
            word("tls", AT(queue.tls), tls_words,
                 "TLS to hosts that neither DANE nor MTA-STS says anything about: opportunistic, where it is "
                 "offered, whoever it is; required, or the message waits."),
            flag("dane", AT(queue.dane),
                 "DANE (RFC 7672): a domain's signed DNS says which certificate its hosts have. It needs a "
                 "resolver that verifies DNSSEC."),
            flag("mta_sts", AT(queue.mta_sts),
                 "MTA-STS (RFC 8461): a domain says on its web server which hosts it has, with TLS."),
            names("dns_servers", AT(queue.dns_servers), servers_max,
                  "Resolvers, as \"127.0.0.1\" or \"[::1]:5353\". None: those of /etc/resolv.conf."),
            word("trust_ad", AT(queue.trust_ad), trust_ad_words,
                 "Whether their word that DNSSEC was verified is believed; automatic: if all of them are on "
                 "this machine, because everybody on the way could change it."),
            text("ca_file", Kind::path, AT(queue.ca_file), path_octets_max,
                 "Authorities (PEM) for the smarthost and for MTA-STS. Empty: the system's."),
            names("source_addresses", AT(queue.source_addresses), addresses_max,
                  "Which of this machine's addresses connections come from: an IPv4 and an IPv6 one. None: "
                  "the system chooses."),
            count("smtp_port", AT(queue.smtp_port), {1, 65535},
                  "The port of other mail servers; another one than 25 is for tests."),
            count("https_port", AT(queue.https_port), {1, 65535},
                  "The port of web servers with MTA-STS policies; another one than 443 is for tests."),
        }};
}

void check_queue(Loaded& loaded) {
    const QueueConfig& queue = loaded.config.queue;
    if (queue.retry_first > queue.retry_max)
        loaded.add(Severity::warning, loaded.place("queue", "retry_first"),
                   "queue.retry_first is longer than queue.retry_max, which is therefore waited from the "
                   "first time on");
    if (!queue.smarthost.empty() && !parse_smarthost(queue.smarthost))
        loaded.add(Severity::error, loaded.place("queue", "smarthost"),
                   fmt::format("queue.smarthost: \"{}\" is no host and port; write it as "
                               "\"mail.example.net:587\" or \"[2001:db8::1]:25\"",
                               queue.smarthost));
    if (queue.smarthost.empty() && !queue.smarthost_user.empty())
        loaded.add(Severity::warning, loaded.place("queue", "smarthost_user"),
                   "queue.smarthost_user has no effect without queue.smarthost");
    if (queue.smarthost_user.empty() != queue.smarthost_password_file.empty())
        loaded.add(Severity::error, loaded.place("queue", "smarthost_user"),
                   "queue.smarthost_user and queue.smarthost_password_file belong together; give both");
    for (const std::string& address : queue.source_addresses)
        if (!is_address(address))
            loaded.add(Severity::error, loaded.place("queue", "source_addresses"),
                       fmt::format("queue.source_addresses: \"{}\" is no IP address", address));
    for (const std::string& server : queue.dns_servers) {
        const auto with_port = parse_smarthost(server);
        if (!is_address(server) && !(with_port && is_address(with_port->host)))
            loaded.add(Severity::error, loaded.place("queue", "dns_servers"),
                       fmt::format("queue.dns_servers: \"{}\" is no IP address; write it as \"127.0.0.1\" or "
                                   "\"[::1]:5353\"",
                                   server));
    }
    if (queue.delay_notice_after.count() != 0 && queue.delay_notice_after >= queue.give_up_after)
        loaded.add(Severity::warning, loaded.place("queue", "delay_notice_after"),
                   "nobody is told of a delay: messages go back to their senders before "
                   "queue.delay_notice_after");
}

queue::TransportSettings transport_settings(const Config& config) {
    const QueueConfig& queue = config.queue;
    queue::TransportSettings settings;
    settings.hostname = config.server.hostname;
    settings.tls = queue.tls;
    settings.dane = queue.dane;
    settings.mta_sts = queue.mta_sts;
    if (!queue.smarthost.empty()) {
        settings.smarthost = parse_smarthost(queue.smarthost);
        settings.smarthost->tls = queue.smarthost_tls;
        settings.smarthost->user = queue.smarthost_user;
        settings.smarthost->password_file = queue.smarthost_password_file;
    }
    settings.smtp_port = static_cast<std::uint16_t>(queue.smtp_port);
    settings.https_port = static_cast<std::uint16_t>(queue.https_port);
    settings.ca_file = queue.ca_file;
    for (const std::string& address : queue.source_addresses)
        settings.source_addresses.push_back(boost::asio::ip::make_address(address));
    settings.connections_max = queue.connections_max;
    return settings;
}

dns::ResolverSettings resolver_settings(const Config& config) {
    dns::ResolverSettings settings;
    settings.servers = config.queue.dns_servers;
    if (config.queue.trust_ad != TrustAd::automatic) settings.trust_ad = config.queue.trust_ad == TrustAd::on;
    return settings;
}

queue::QueueSettings queue_settings(const Config& config) {
    queue::QueueSettings settings;
    settings.messages_max = config.queue.messages_max;
    settings.schedule.connections_max = config.queue.connections_max;
    settings.schedule.connections_per_destination_max = config.queue.connections_per_destination_max;
    settings.schedule.messages_per_minute = config.queue.messages_per_minute;
    settings.schedule.retry_first = config.queue.retry_first;
    settings.schedule.retry_max = config.queue.retry_max;
    settings.patience = {config.queue.give_up_after, config.queue.delay_notice_after};
    settings.one_destination = config.queue.smarthost;
    settings.notice = {config.server.hostname, config.queue.bounce_octets_max};
    return settings;
}

}  // namespace pier::program
