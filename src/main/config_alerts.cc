#include "main/config_alerts.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <fmt/format.h>

#include "main/config_fields.h"
#include "watch/quiet_hours.h"

namespace pier::program {
namespace {

using namespace std::string_view_literals;

// In the enums' order.
constexpr std::array kind_words{"mail"sv, "webhook"sv, "command"sv, "journal"sv, "alertmanager"sv};
constexpr std::array severity_words{"note"sv, "warning"sv, "critical"sv};
constexpr std::size_t name_octets_max = 64, address_octets_max = 255, account_octets_max = 500;
constexpr std::size_t url_octets_max = 1024, host_octets_max = 253, recipients_max = 20;

#define AT(member)                      \
    [](auto& c, std::size_t) -> auto& { \
        return c.alerts.member;         \
    }
#define OF_CHANNEL(member)                  \
    [](auto& c, std::size_t i) -> auto& {   \
        return c.alerts.channels[i].member; \
    }

std::string channel_section(std::size_t index) {
    return fmt::format("alerts.channel[{}]", index);
}

std::string_view word_of(ChannelKind kind) {
    return kind_words[static_cast<std::size_t>(kind)];
}

// ---- where channels connect to ----

// Absent: it is no web address.
std::optional<std::uint16_t> port_of_url(const std::string& text) {
    const auto url = boost::urls::parse_uri(text);
    if (!url || url->host().empty() || url->has_userinfo()) return {};
    const bool tls = url->scheme_id() == boost::urls::scheme::https;
    if (!tls && url->scheme_id() != boost::urls::scheme::http) return {};
    if (!url->has_port() || url->port().empty())
        return static_cast<std::uint16_t>(tls ? 443 : 80);  // RFC 9110 §4.2
    if (url->port_number() == 0) return {};
    return url->port_number();
}

// Of "host:port" or "[address]:port".
std::optional<std::uint16_t> port_of_server(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return {};
    const std::string_view host = text.substr(0, colon), digits = text.substr(colon + 1);
    const bool literal = host.starts_with('[') && host.ends_with(']');
    if (!literal && host.find_first_of(":[] /@") != std::string_view::npos) return {};
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || port == 0) return {};
    return port;
}

bool is_on_this_machine(const std::string& text) {
    const auto url = boost::urls::parse_uri(text);
    if (!url) return false;
    const std::string host = url->host();
    return host == "localhost" || host == "[::1]" || host.starts_with("127.");
}

bool is_mail_address(const std::string& text) {
    const std::size_t at = text.find('@');
    const auto strange = [](char c) { return c <= 0x20 || c >= 0x7F || c == '<' || c == '>' || c == '"'; };
    return at != std::string::npos && at > 0 && at + 1 < text.size() && text.find('@', at + 1) == text.npos &&
           std::none_of(text.begin(), text.end(), strange);
}

// ---- checks of one channel ----

class ChannelCheck {
  public:
    ChannelCheck(Loaded& loaded, std::size_t index)
        : loaded_(loaded),
          section_(channel_section(index)),
          channel_(loaded.config.alerts.channels[index]),
          kind_(word_of(channel_.kind)) {}

    void run() {
        check_meaning();
        switch (channel_.kind) {
            case ChannelKind::mail:
                return check_mail();
            case ChannelKind::webhook:
            case ChannelKind::alertmanager:
                return check_url();
            case ChannelKind::command:
                return check_command();
            case ChannelKind::journal:
                return;
        }
    }

  private:
    void add(std::string_view key, std::string text, Severity severity = Severity::error) {
        loaded_.add(severity, loaded_.place(section_, key), std::move(text));
    }

    // What is given must mean something: who writes secret_file believes that something is signed.
    void check_meaning() {
        struct Use {
            std::string_view key;
            bool given;
            std::vector<ChannelKind> kinds;
        };
        using enum ChannelKind;
        const std::vector<Use> uses{{"url", !channel_.url.empty(), {webhook, alertmanager}},
                                    {"secret_file", !channel_.secret_file.empty(), {webhook}},
                                    {"ca_file", !channel_.ca_file.empty(), {webhook, alertmanager, mail}},
                                    {"to", !channel_.to.empty(), {mail}},
                                    {"from", !channel_.from.empty(), {mail}},
                                    {"through", !channel_.through.empty(), {mail}},
                                    {"account", !channel_.account.empty(), {mail}},
                                    {"password_file", !channel_.password_file.empty(), {mail}},
                                    {"command", !channel_.command.empty(), {command}}};
        for (const Use& use : uses) {
            if (use.given && std::ranges::find(use.kinds, channel_.kind) == use.kinds.end())
                add(use.key, fmt::format("alerts.channel.{} has no meaning for kind = \"{}\"; take it out",
                                         use.key, kind_));
        }
    }

    void check_url() {
        if (channel_.url.empty())
            return add("url", fmt::format("a channel of kind = \"{}\" needs to know where to: url = "
                                          "\"https://host/path\"",
                                          kind_));
        if (!port_of_url(channel_.url))
            return add("url", "alerts.channel.url is no web address; write https://host/path");
        const bool clear = channel_.url.starts_with("http:");
        if (clear && !is_on_this_machine(channel_.url))
            add("url",
                "alerts.channel.url is http: others on the way can read and change what is told; write "
                "https",
                Severity::warning);
        if (clear && !channel_.ca_file.empty())
            add("ca_file", "alerts.channel.ca_file has no meaning for http; write https in url");
    }

    void check_mail() {
        if (channel_.to.empty())
            add("to", "a channel of kind = \"mail\" needs recipients: to = [\"admin@example.org\"]");
        for (const std::string& address : channel_.to)
            if (!is_mail_address(address))
                add("to", fmt::format("\"{}\" in alerts.channel.to is no address of mail", address));
        if (!channel_.from.empty() && !is_mail_address(channel_.from))
            add("from", "alerts.channel.from is an address of mail, as in \"pier@example.org\"");
        if (!channel_.through.empty() && !port_of_server(channel_.through))
            add("through", "alerts.channel.through is a server and its port, as in \"mail.example.net:587\"");
        if (channel_.account.empty() != channel_.password_file.empty())
            add("account", "alerts.channel.account and password_file belong together; give both");
        if (!channel_.through.empty()) return;
        if (!channel_.account.empty())
            add("account",
                "nobody logs in without alerts.channel.through; name that server, or take account "
                "and password_file out");
        if (!channel_.ca_file.empty())
            add("ca_file", "alerts.channel.ca_file has no meaning without through; take it out");
    }

    void check_command() {
        if (!channel_.command.starts_with('/'))
            add("command",
                "a channel of kind = \"command\" needs a program by its whole path, without arguments: "
                "command = \"/usr/local/bin/page-me\"");
    }

    Loaded& loaded_;
    const std::string section_;
    const AlertChannelConfig& channel_;
    const std::string_view kind_;
};

void check_names(Loaded& loaded) {
    const auto& channels = loaded.config.alerts.channels;
    std::set<std::string> seen;
    const auto printable = [](char c) { return c > 0x20 && c < 0x7F; };
    for (std::size_t index = 0; index < channels.size(); ++index) {
        const std::string& name = channels[index].name;
        if (!std::all_of(name.begin(), name.end(), printable))
            loaded.add(Severity::error, loaded.place(channel_section(index), "name"),
                       "alerts.channel.name is one word of ASCII");
        if (!seen.insert(name).second)
            loaded.add(Severity::error, loaded.place(channel_section(index), "name"),
                       fmt::format("two channels have the name \"{}\"; give each its own with name", name));
    }
}

}  // namespace

void finish_alerts(Config& config) {
    for (AlertChannelConfig& channel : config.alerts.channels)
        if (channel.name.empty()) channel.name = word_of(channel.kind);
}

void check_alerts(Loaded& loaded) {
    const AlertsConfig& alerts = loaded.config.alerts;
    if (!alerts.quiet_hours.empty())
        if (const auto hours = watch::parse_quiet_hours(alerts.quiet_hours); !hours)
            loaded.add(Severity::error, loaded.place("alerts", "quiet_hours"),
                       fmt::format("alerts.quiet_hours: {}", hours.error().text));
    if (alerts.disk_free_critical > alerts.disk_free_warning)
        loaded.add(Severity::warning, loaded.place("alerts", "disk_free_critical"),
                   "alerts.disk_free_critical is more than alerts.disk_free_warning, so nobody is warned "
                   "before it is urgent; make it less");
    if (alerts.channels.size() > alert_channels_max)
        loaded.add(Severity::error, loaded.place(channel_section(alert_channels_max), "name"),
                   fmt::format("there are {} [[alerts.channel]], but at most {} are possible",
                               alerts.channels.size(), alert_channels_max));
    check_names(loaded);
    for (std::size_t index = 0; index < alerts.channels.size(); ++index)
        ChannelCheck(loaded, index).run();
}

std::vector<std::uint16_t> alert_ports(const Config& config) {
    std::set<std::uint16_t> ports;
    for (const AlertChannelConfig& channel : config.alerts.channels) {
        const auto port =
            channel.kind == ChannelKind::mail ? port_of_server(channel.through) : port_of_url(channel.url);
        if (port) ports.insert(*port);
    }
    return {ports.begin(), ports.end()};
}

Section alerts_section() {
    return {
        .name = "alerts",
        .help =
            "When and how it is told that something is wrong; docs/alerts.md says what is told. Without an "
            "[[alerts.channel]] `pier alert list` shows it all the same.",
        .fields = {
            text("quiet_hours", Kind::text, AT(quiet_hours), 11,
                 "Hours of the day, in this machine's time zone, in which only what is critical is told, as "
                 "\"22:00-07:00\". Empty: none."),
            duration("remind_after", AT(remind_after), {0, 30 * day},
                     "How long after it was told last something that is still wrong is told again, unless "
                     "somebody has acknowledged it. 0: never."),
            count("disk_free_warning", AT(disk_free_warning), {0, 100},
                  "With less than so many percent of the data folder's disk free. 0: never."),
            count("disk_free_critical", AT(disk_free_critical), {0, 100},
                  "With less than so many percent free that is urgent. 0: never."),
            count("queue_messages", AT(queue_messages), {0, 100'000'000},
                  "With more messages than so many in the queue. 0: never."),
            count("queue_growth", AT(queue_growth), {0, 100'000'000},
                  "If the queue has grown by so many messages within ten minutes. 0: never."),
            duration("queue_age", AT(queue_age), {0, 30 * day},
                     "If the oldest message in the queue, without those on hold, has waited for so long: one "
                     "host elsewhere that is down is enough for that. 0: never."),
            count("login_failures_per_minute", AT(login_failures_per_minute), {0, 1'000'000},
                  "With so many wrong passwords within a minute: somebody is guessing. 0: never."),
            count("blocks_per_minute", AT(blocks_per_minute), {0, 1'000'000},
                  "If the guard blocks so many within a minute: a scan, or guessing from many addresses. 0: "
                  "never."),
        }};
}

Section alerts_channel_section() {
    return {
        .name = "alerts.channel",
        .help = "A way by which it is told; there may be several.",
        .count = [](const Config& config) { return config.alerts.channels.size(); },
        .add = [](Config& config) { config.alerts.channels.emplace_back(); },
        .fields =
            {
                text("name", Kind::text, OF_CHANNEL(name), name_octets_max,
                     "In `pier alert list` and `pier alert test`. Empty: its kind."),
                word("kind", OF_CHANNEL(kind), kind_words,
                     "mail; webhook (JSON over HTTP); command (a program of yours); journal (a line in the "
                     "log); alertmanager (that of Prometheus)."),
                word("at_least", OF_CHANNEL(at_least), severity_words,
                     "What is less severe is not told there. A note is never told."),
                secret(
                    text("url", Kind::text, OF_CHANNEL(url), url_octets_max,
                         "Of webhook and alertmanager: where to, as \"https://host/path\"; of alertmanager "
                         "with its path, mostly /api/v2/alerts.")),
                text("secret_file", Kind::path, OF_CHANNEL(secret_file), path_octets_max,
                     "Of webhook: a file whose first line signs what is sent. Empty: it is not signed."),
                text("ca_file", Kind::path, OF_CHANNEL(ca_file), path_octets_max,
                     "A PEM file with the authorities that the certificate of url or through must come from. "
                     "Empty: the system's."),
                names("to", OF_CHANNEL(to), recipients_max, "Of mail: its recipients."),
                text("from", Kind::text, OF_CHANNEL(from), address_octets_max,
                     "Of mail: its sender. Empty: postmaster at server.hostname."),
                text("through", Kind::text, OF_CHANNEL(through), host_octets_max + 8,
                     "Of mail: another server that takes it, as \"mail.example.net:587\" (465: TLS from the "
                     "first octet); better than this one, which may be what is down. Empty: this one."),
                text("account", Kind::text, OF_CHANNEL(account), account_octets_max,
                     "Of mail: as whom to log in there. Empty: nobody logs in."),
                text("password_file", Kind::path, OF_CHANNEL(password_file), path_octets_max,
                     "A file whose first line is that account's password. It is read at the start."),
                text("command", Kind::path, OF_CHANNEL(command), path_octets_max,
                     "Of command: the program, by its whole path; docs/alerts.md says what it is given."),
                duration("timeout", OF_CHANNEL(timeout), {1, 10 * minute}, "How long one try may take."),
            }};
}

}  // namespace pier::program
