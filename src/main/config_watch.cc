#include "main/config_watch.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "main/config_fields.h"
#include "main/probe_targets.h"

namespace pier::program {
namespace {

using namespace std::string_view_literals;

// In the enums' order.
constexpr std::array protocol_words{"auto"sv, "pop3"sv, "imap"sv, "smtp"sv, "submission"sv, "lmtp"sv};
constexpr std::array tls_words{"auto"sv, "starttls"sv, "implicit"sv, "none"sv};
constexpr std::size_t host_octets_max = 253, name_octets_max = 255, account_octets_max = 500;

#define AT(member)                      \
    [](auto& c, std::size_t) -> auto& { \
        return c.watch.member;          \
    }
#define OF_TARGET(member)                 \
    [](auto& c, std::size_t i) -> auto& { \
        return c.watch.targets[i].member; \
    }
#define OF_CANARY(member)                  \
    [](auto& c, std::size_t i) -> auto& {  \
        return c.watch.canaries[i].member; \
    }

std::string target_section(std::size_t index) {
    return fmt::format("watch.target[{}]", index);
}
std::string canary_section(std::size_t index) {
    return fmt::format("watch.canary[{}]", index);
}

std::string word_of(WatchedProtocol protocol) {
    return protocol == WatchedProtocol::automatic
               ? std::string()
               : std::string(protocol_words[static_cast<std::size_t>(protocol)]);
}
std::string word_of(WatchedTls tls) {
    return tls == WatchedTls::automatic ? std::string()
                                        : std::string(tls_words[static_cast<std::size_t>(tls)]);
}

bool logs_in(watch::Protocol protocol) {
    return protocol == watch::Protocol::pop3 || protocol == watch::Protocol::imap ||
           protocol == watch::Protocol::submission;
}

Error wrong(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

// ---- checks ----

void check_target(Loaded& loaded, std::size_t index, std::set<std::string>& seen) {
    const WatchTargetConfig& config = loaded.config.watch.targets[index];
    const std::string section = target_section(index);
    const auto add = [&](std::string_view key, std::string text) {
        loaded.add(Severity::error, loaded.place(section, key), std::move(text));
    };
    if (config.host.empty())
        return loaded.add(Severity::warning, loaded.place(section, "host"),
                          "this [[watch.target]] names no host, so nothing is watched by it; name one with "
                          "host = \"mail.example.org\"");
    const auto target = watched_target(config);
    if (!target) return add("host", fmt::format("watch.target: {}", target.error().text));
    if (!seen.insert(target->text()).second)
        add("host", fmt::format("{} is watched twice; take one [[watch.target]] out", target->text()));
    if (config.account.empty() != config.password_file.empty())
        add("account", "watch.target.account and watch.target.password_file belong together; give both");
    if (!config.account.empty() && !logs_in(target->protocol))
        add("account",
            fmt::format("nobody logs in on {}, which speaks {}; take account and password_file out",
                        target->text(), to_string(target->protocol)));
}

// The ends of its way.
void check_way(Loaded& loaded, const std::string& section, const WatchCanaryConfig& canary) {
    const auto add = [&](std::string_view key, const std::string& text) {
        loaded.add(Severity::error, loaded.place(section, key), fmt::format("watch.canary.{} {}", key, text));
    };
    const auto sender = canary_end(loaded.config, canary.sender);
    if (!sender)
        add("sender", sender.error().text);
    else if (sender->protocol == watch::Protocol::pop3 || sender->protocol == watch::Protocol::imap)
        add("sender", fmt::format("can't be {}, which takes no mail; name a port of SMTP, submission or LMTP",
                                  sender->text()));
    const auto fetcher = canary_end(loaded.config, canary.fetcher);
    if (!fetcher)
        add("fetcher", fetcher.error().text);
    else if (fetcher->protocol != watch::Protocol::pop3)
        add("fetcher", fmt::format("can't be {}, which speaks {}: a canary is fetched over POP3",
                                   fetcher->text(), to_string(fetcher->protocol)));
}

void check_canary(Loaded& loaded, std::size_t index, std::set<std::string>& seen) {
    const WatchCanaryConfig& canary = loaded.config.watch.canaries[index];
    const std::string section = canary_section(index);
    if (canary.sender.empty() && canary.fetcher.empty())
        return loaded.add(Severity::warning, loaded.place(section, "sender"),
                          "this [[watch.canary]] has no sender and fetcher, so no mail is sent; name them as "
                          "\"mail.example.org:25\" and \"mail.example.org:995\"");
    const auto add = [&](std::string_view key, const std::string& text) {
        loaded.add(Severity::error, loaded.place(section, key), text);
    };
    check_way(loaded, section, canary);
    for (const auto& [key, address] : {std::pair("from", &canary.from), std::pair("to", &canary.to)})
        if (address->find('@') == std::string::npos || address->find_first_of(" <>\"") != std::string::npos)
            add(key, fmt::format("watch.canary.{} is an address of mail, as in \"canary@example.org\"", key));
    if (canary.account.empty() || canary.password_file.empty())
        add("account",
            "a canary is fetched from a mailbox: name it with watch.canary.account and password_file");
    const auto printable = [](char c) { return c > 0x20 && c < 0x7F; };
    if (!std::all_of(canary.name.begin(), canary.name.end(), printable))
        add("name", "watch.canary.name is one word of ASCII");
    if (!seen.insert(canary_name(canary)).second)
        add("name", fmt::format("two canaries have the name \"{}\"; give each its own with name",
                                canary_name(canary)));
}

void check_thresholds(Loaded& loaded) {
    const WatchConfig& watch = loaded.config.watch;
    if (watch.days_critical > watch.days_warning)
        loaded.add(Severity::warning, loaded.place("watch", "days_critical"),
                   "watch.days_critical is more than watch.days_warning, so nobody is warned before it is "
                   "urgent; make it less");
    if (watch.slow_critical < watch.slow_warning)
        loaded.add(
            Severity::warning, loaded.place("watch", "slow_critical"),
            "watch.slow_critical is shorter than watch.slow_warning, so there is never a warning; make "
            "it longer");
}

void check_count(Loaded& loaded, std::string_view what, std::size_t count, std::size_t most) {
    if (count > most)
        loaded.add(Severity::error, loaded.place(fmt::format("watch.{}[{}]", what, most), "name"),
                   fmt::format("there are {} [[watch.{}]], but at most {} are possible", count, what, most));
}

}  // namespace

Result<watch::Target> watched_target(const WatchTargetConfig& config) {
    const bool literal = config.host.find(':') != std::string::npos;
    boost::system::error_code no_address;
    if (literal) boost::asio::ip::make_address(config.host, no_address);
    if (no_address || config.host.find_first_of(" /@[]") != std::string::npos)
        return wrong(
            fmt::format("\"{}\" is no host; write its name or IP address alone, and its port as port = 995",
                        config.host));
    if (config.port == 0 && config.protocol == WatchedProtocol::automatic)
        return wrong(fmt::format(
            "which port of {}? Write port = 995, or protocol = \"pop3\" for the usual one", config.host));
    const std::string port = config.port == 0 ? std::string() : fmt::format(":{}", config.port);
    const std::string text = (literal ? fmt::format("[{}]", config.host) : config.host) + port;
    const auto found = parse_probe_target(text, {word_of(config.protocol), word_of(config.tls), config.name});
    if (found) return found->front().target;
    if (config.port == 0) return found.error();
    return wrong(
        fmt::format("port {} is none of mail's own; say what it speaks with protocol = \"pop3\", "
                    "imap, smtp, submission or lmtp",
                    config.port));
}

std::string own_certificate_name(const Config& config) {
    if (!config.watch.name.empty()) return config.watch.name;
    return config.acme.configured() ? config.acme.domains.front() : config.server.hostname;
}

OwnPorts watched_own_ports(const Config& config) {
    OwnPorts own;
    if (!config.watch.own) return own;
    for (const ListenerConfig& listener : config.listeners) {
        Config alone;
        alone.listeners = {listener};
        const auto found = own_listeners(alone, {"", "", own_certificate_name(config)});
        if (found.empty()) continue;  // a Unix socket, a free port, or no mail
        const watch::Target& target = found.front().target;
        boost::system::error_code no_address;
        // Who connects to an address of his own machine comes from the same one.
        const IpAddress source = boost::asio::ip::make_address(target.host, no_address);
        if (!no_address && !listener.access.admits(source))
            own.left_out.push_back({listener.name, "its allow and deny keep this machine's own address out"});
        else if (!no_address && contains(listener.proxies, source))
            own.left_out.push_back({listener.name, "it takes this machine's own address for a proxy's"});
        else
            own.targets.push_back(target);
    }
    return own;
}

Result<watch::Target> canary_end(const Config& config, const std::string& text) {
    for (const WatchTargetConfig& one : config.watch.targets) {
        if (one.host.empty()) continue;
        const auto target = watched_target(one);
        if (target && target->text() == text) return *target;
    }
    for (const ProbeTarget& own : own_listeners(config, {"", "", own_certificate_name(config)}))
        if (own.target.text() == text) return own.target;
    const auto parsed = parse_probe_target(text, {});
    if (parsed && parsed->size() == 1) return parsed->front().target;
    return wrong(
        fmt::format("can't be \"{}\": write HOST:PORT, where the port is one of mail's own, or stands "
                    "in a [[watch.target]] that says what it speaks",
                    text));
}

std::string canary_name(const WatchCanaryConfig& canary) {
    return canary.name.empty() ? canary.fetcher : canary.name;
}

Section watch_section() {
    return {
        .name = "watch",
        .help =
            "Looks at mail ports, this server's own and others, again and again, as pier probe does; "
            "docs/watch.md says what is seen.",
        .fields = {
            flag("own", AT(own), "Whether this server's own TCP listeners for mail are looked at."),
            text("name", Kind::text, AT(name), name_octets_max,
                 "The name that the certificates of these must be for. Empty: the first of acme.domains, or "
                 "server.hostname."),
            duration("interval", AT(interval), {1, day}, "How often each port is looked at."),
            duration("thorough_interval", AT(thorough_interval), {0, 365 * day},
                     "How often that is done thoroughly: old TLS, weak ciphers, relaying. 0: never."),
            duration("second_look", AT(second_look), {1, hour},
                     "How soon another look follows one that failed, before it counts as an outage."),
            duration("timeout", AT(timeout), {1, minute}, "How long each answer is waited for."),
            count("days_warning", AT(days_warning), {0, 3650},
                  "With how many days left a certificate is to be renewed."),
            count("days_critical", AT(days_critical), {0, 3650}, "With how many days left that is urgent."),
            duration("slow_warning", AT(slow_warning), {1, hour}, "From when on a part of a look is slow."),
            duration("slow_critical", AT(slow_critical), {1, hour}, "From when on it is far too slow."),
            count("latency_factor", AT(latency_factor), {0, 1000},
                  "A look that takes so many times the median of the last day, three times in a row, is told "
                  "of. 0: none is."),
            text("ca_file", Kind::path, AT(ca_file), path_octets_max,
                 "A PEM file with the authorities that certificates must come from. Empty: the system's."),
        }};
}

Section watch_target_section() {
    return {.name = "watch.target",
            .help = "A port of another server that is looked at too.",
            .count = [](const Config& config) { return config.watch.targets.size(); },
            .add = [](Config& config) { config.watch.targets.emplace_back(); },
            .fields =
                {
                    text("host", Kind::text, OF_TARGET(host), host_octets_max,
                         "Its name or IP address. Empty: nothing is watched."),
                    count("port", OF_TARGET(port), {0, 65535}, "Its port. 0: the usual one of protocol."),
                    word("protocol", OF_TARGET(protocol), protocol_words,
                         "What it speaks; auto: what its number says."),
                    word("tls", OF_TARGET(tls), tls_words, "How TLS begins; auto: as is usual on that port."),
                    text("name", Kind::text, OF_TARGET(name), name_octets_max,
                         "The name that its certificate must be for. Empty: host."),
                    duration("interval", OF_TARGET(interval), {0, day},
                             "How often it is looked at. 0: as watch.interval says."),
                    text("account", Kind::text, OF_TARGET(account), account_octets_max,
                         "As whom to log in, count the mail and read the newest: better an account for that "
                         "alone. "
                         "Empty: nobody logs in."),
                    text("password_file", Kind::path, OF_TARGET(password_file), path_octets_max,
                         "A file whose first line is that account's password. It is read at the start."),
                    text("ca_file", Kind::path, OF_TARGET(ca_file), path_octets_max,
                         "In place of watch.ca_file for this port. Empty: that one."),
                    flag("stranger", OF_TARGET(stranger),
                         "Judge as if from outside, although the server is in this machine's network."),
                }};
}

Section watch_canary_section() {
    return {.name = "watch.canary",
            .help = "Mail that is sent, fetched, compared and deleted, again and again.",
            .count = [](const Config& config) { return config.watch.canaries.size(); },
            .add = [](Config& config) { config.watch.canaries.emplace_back(); },
            .fields =
                {
                    text("name", Kind::text, OF_CANARY(name), 64,
                         "In tables and measurements. Empty: its fetcher."),
                    text("sender", Kind::text, OF_CANARY(sender), host_octets_max + 8,
                         "Where the mail goes in, as \"mail.example.org:25\": SMTP, submission or LMTP."),
                    text("fetcher", Kind::text, OF_CANARY(fetcher), host_octets_max + 8,
                         "Where it is fetched, as \"mail.example.org:995\": POP3."),
                    text("from", Kind::text, OF_CANARY(from), name_octets_max, "Its sender's address."),
                    text("to", Kind::text, OF_CANARY(to), name_octets_max, "Its recipient's address."),
                    text("account", Kind::text, OF_CANARY(account), account_octets_max,
                         "Whose mailbox that is, at the fetcher; submission logs in as the same."),
                    text("password_file", Kind::path, OF_CANARY(password_file), path_octets_max,
                         "A file whose first line is the password. It is read at the start."),
                    duration("interval", OF_CANARY(interval), {1, day}, "How often one is sent."),
                    duration("wait", OF_CANARY(wait), {1, hour}, "How long it may take to come."),
                }};
}

void check_watch(Loaded& loaded) {
    const WatchConfig& watch = loaded.config.watch;
    check_count(loaded, "target", watch.targets.size(), watch_targets_max);
    check_count(loaded, "canary", watch.canaries.size(), watch_canaries_max);
    std::set<std::string> targets, canaries;
    for (std::size_t index = 0; index < watch.targets.size(); ++index)
        check_target(loaded, index, targets);
    for (std::size_t index = 0; index < watch.canaries.size(); ++index)
        check_canary(loaded, index, canaries);
    check_thresholds(loaded);
}

bool watches(const Config& config) {
    return !watched_ports(config).empty();
}

std::vector<std::uint16_t> watched_ports(const Config& config) {
    std::set<std::uint16_t> ports;
    for (const watch::Target& target : watched_own_ports(config).targets)
        ports.insert(target.port);
    const auto add = [&](const Result<watch::Target>& target) {
        if (target) ports.insert(target->port);
    };
    for (const WatchTargetConfig& one : config.watch.targets)
        if (!one.host.empty()) add(watched_target(one));
    for (const WatchCanaryConfig& one : config.watch.canaries)
        for (const std::string& end : {one.sender, one.fetcher})
            if (!end.empty()) add(canary_end(config, end));
    return {ports.begin(), ports.end()};
}

}  // namespace pier::program
