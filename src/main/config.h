// The configuration: one struct per section of the file, each field with its default. What else is known of a
// field (its key, unit, range and help sentence) stands once, in sections(); loading, `pier check`, the
// sample file, the manual page and JSON are all made from that table.
//
//   Loaded loaded = load_config("/etc/pier/pier.toml");        (config_file.h)
//   loaded.problems: all that is wrong, each with its place; loaded.config: the values, defaults where there
//   are none
//
// A Config is a plain value: read it from any thread, change it only before it is shared.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "auth/authenticator.h"
#include "auth/guard.h"
#include "backends/settings.h"
#include "base/log.h"
#include "maildrop/policy.h"
#include "main/alert_channels.h"
#include "net/tls.h"
#include "pop3/session.h"
#include "queue/transport_settings.h"
#include "serve/submission_settings.h"
#include "smtp/session.h"

namespace pier::program {

using std::chrono::seconds;

struct ServerConfig {
    std::string hostname;  // finish() fills in the machine's name
    std::string data_folder = "/var/lib/pier";
    std::string user = "pier";  // who to become when started as root; empty: stay root
    std::uint64_t threads = 0;  // 0: one per core
    seconds shutdown_grace{30};
    bool sandbox = true;
};

struct LogConfig {
    log::Level level = log::Level::info;
    log::Format format = log::Format::logfmt;
    std::string file;  // empty: standard error
    std::uint64_t recent_lines_max = 1000;
};

struct StoreConfig {
    std::uint64_t message_octets_max = 64ull << 20;
    std::uint64_t segment_octets_max = 256ull << 20;
    std::uint64_t spool_memory_octets = 1ull << 20;
    std::uint64_t listing_cache_octets = 64ull << 20;
    std::uint64_t index_cache_octets = 64ull << 20;
    std::uint64_t segment_files_max = 1024;
    seconds purge_after{7 * 24 * 3600};
    bool cleaner = true;
};

struct TlsConfig {
    std::string certificate;  // PEM, the whole chain; empty: no TLS
    net::TlsPolicy policy = net::TlsPolicy::intermediate;
    std::string key;   // PEM; empty: it is in the certificate's file
    std::string ocsp;  // DER; empty: fetched, if the certificate names a responder
    bool ocsp_fetch = true;
    std::string ticket_keys;  // keys that other nodes have too; empty: keys of its own
    seconds handshake_timeout{10};
    net::TlsClients clients;
    bool configured() const { return !certificate.empty(); }
    const std::string& key_file() const { return key.empty() ? certificate : key; }
};

// Beside TlsConfig's, for the names that it holds.
struct CertificateConfig {
    std::string file;  // PEM, the whole chain
    std::string key;   // PEM; empty: it is in `file`
    std::string ocsp;  // DER; empty: fetched, as for [tls]
    const std::string& key_file() const { return key.empty() ? file : key; }
};

enum class AcmeChallenge { http_01, tls_alpn_01 };

// In place of TlsConfig's certificate: one that Pier gets itself (RFC 8555).
struct AcmeConfig {
    std::vector<std::string> domains;  // none: no ACME
    std::string directory = "https://acme-v02.api.letsencrypt.org/directory";
    bool terms_agreed = false;
    std::string contact;  // an address of mail; empty: none
    AcmeChallenge challenge = AcmeChallenge::http_01;
    std::string ca_file;       // PEM; empty: the system's
    std::string eab_kid;       // external account binding; empty: none
    std::string eab_key_file;  // base64url
    bool configured() const { return !domains.empty(); }
};

enum class Protocol { pop3, pop3s, lmtp, smtp, submission, submissions, acme, acme_http, metrics };
enum class TlsUse { automatic, none, starttls, implicit };
enum class ClearLogin { never, loopback, always };

struct ListenerConfig {
    std::string
        name{};  // in logs, and the systemd socket's FileDescriptorName; finish() makes one: "pop3-110"
    Protocol protocol = Protocol::pop3;
    std::string address = "*";       // an IP address; "*": every one of this machine, IPv6 and IPv4
    std::uint16_t port = 110;        // 0: any free one, for tests
    std::string path{};              // a Unix socket in place of address and port
    TlsUse tls = TlsUse::automatic;  // never automatic after finish()
    ClearLogin clear_login = ClearLogin::loopback;
    AccessList access{};  // who may connect
    Networks proxies{};   // who tells with the PROXY protocol for whom it connects
    Networks xclient{};   // who may tell with XCLIENT
};

struct Pop3Config {
    pop3::Limits limits;
    seconds login_timeout{60};
    seconds idle_timeout{600};  // RFC 1939 §3 demands at least ten minutes
    seconds login_delay{0};     // of one account, between two logins (RFC 2449 §6.6); 0: none
    bool exclusive = false;     // RFC 1939's lock for every account, not only for those that have it set
    maildrop::Policy policy;
    std::string greeting = "Pier POP3 server ready";
};

enum class OverQuota { temporary, permanent };

struct LmtpConfig {
    smtp::Limits limits;  // finish() copies StoreConfig::message_octets_max into it
    seconds idle_timeout{300};
    OverQuota over_quota = OverQuota::temporary;
};

struct SmtpConfig {
    smtp::Limits limits;  // finish() copies StoreConfig::message_octets_max into it
    seconds idle_timeout{300};
    std::string postmaster;  // an account; empty: the oldest one
};

// Addresses and forwarding, whatever brought the mail.
struct DeliveryConfig {
    OverQuota over_quota = OverQuota::temporary;
    std::string subaddress_separator = "+";
    std::string srs_domain;  // empty: the recipient's own
};

struct SubmissionConfig {
    smtp::Limits limits;  // finish() copies StoreConfig::message_octets_max into it
    seconds idle_timeout{300};
    serve::SubmissionSettings settings;
    serve::SendLimits rate;
};

// Who looks at mail on its way in: rspamd. config_delivery.h.
struct FilterConfig {
    std::string rspamd;  // empty: nobody
    std::vector<std::string> listeners{"smtp", "submission"};
    bool refuse_when_down = false;
    bool junk = false;
    seconds timeout{30};
    std::uint64_t octets_max = 50ull << 20;
    std::uint64_t connections_max = 16;
    bool configured() const { return !rspamd.empty(); }
};

// Whether what a resolver says of DNSSEC is believed: automatic, if it is on this machine.
enum class TrustAd { automatic, on, off };

// Mail for other servers; config_queue.h.
struct QueueConfig {
    bool enabled = true;
    std::uint64_t messages_max = 100'000;
    std::uint64_t connections_max = 50;
    std::uint64_t connections_per_destination_max = 4;
    std::uint64_t messages_per_minute = 0;  // to one destination; 0: no limit
    seconds retry_first{60};
    seconds retry_max{4 * 3600};
    seconds give_up_after{5 * 24 * 3600};
    seconds delay_notice_after{4 * 3600};  // 0: never
    std::uint64_t bounce_octets_max = 50 << 10;
    // How it is carried.
    std::string smarthost;  // "mail.example.net:587"; empty: the destinations' own hosts
    queue::Smarthost::Tls smarthost_tls = queue::Smarthost::Tls::starttls;
    std::string smarthost_user, smarthost_password_file;
    queue::OutgoingTls tls = queue::OutgoingTls::opportunistic;
    bool dane = true, mta_sts = true;
    std::vector<std::string> dns_servers;  // empty: those of resolv.conf(5)
    TrustAd trust_ad = TrustAd::automatic;
    std::string ca_file;                             // PEM; empty: the system's
    std::vector<std::string> source_addresses;       // none: the kernel chooses
    std::uint64_t smtp_port = 25, https_port = 443;  // others are for tests
};

// In the order of config_watch.cc's words.
enum class WatchedProtocol { automatic, pop3, imap, smtp, submission, lmtp };
enum class WatchedTls { automatic, starttls, implicit, none };

// A port of another server that is looked at.
struct WatchTargetConfig {
    std::string host;        // empty: nothing is watched
    std::uint16_t port = 0;  // 0: the usual one of `protocol`
    WatchedProtocol protocol = WatchedProtocol::automatic;
    WatchedTls tls = WatchedTls::automatic;
    std::string name;     // that its certificate must be for; empty: `host`
    seconds interval{0};  // 0: that of [watch]
    std::string account, password_file;
    std::string ca_file;  // empty: that of [watch]
    bool stranger = false;
};

// Mail that is sent and fetched again and again.
struct WatchCanaryConfig {
    std::string name;             // empty: its fetcher's
    std::string sender, fetcher;  // "mail.example.org:25"; both empty: none is sent
    std::string from, to, account, password_file;
    seconds interval{300};
    seconds wait{60};
};

// What is looked at, and how often; config_watch.h.
struct WatchConfig {
    bool own = true;   // this server's own listeners
    std::string name;  // that their certificates must be for; empty: the first of [acme], or the host's
    seconds interval{30};
    seconds thorough_interval{24 * 3600};  // 0: never
    seconds second_look{10};
    seconds timeout{10};
    std::uint64_t days_warning = 30, days_critical = 7;
    seconds slow_warning{3}, slow_critical{10};
    std::uint64_t latency_factor = 3;  // 0: nothing is too slow for being slower than usual
    std::string ca_file;               // PEM; empty: the system's
    std::vector<WatchTargetConfig> targets;
    std::vector<WatchCanaryConfig> canaries;
};

// What is told of, beside what [watch] sees, and how; config_alerts.h.
struct AlertsConfig {
    std::string quiet_hours;  // "22:00-07:00"; empty: none
    seconds remind_after{4 * 3600};
    // 0: of each of these nobody is told.
    std::uint64_t disk_free_warning = 10, disk_free_critical = 3;  // percent
    std::uint64_t queue_messages = 1000, queue_growth = 500;       // growth: in ten minutes
    seconds queue_age{0};
    std::uint64_t login_failures_per_minute = 60, blocks_per_minute = 10;
    std::vector<AlertChannelConfig> channels;
};

enum class ScramUse { automatic, on, off };

struct AuthConfig {
    auth::AuthLimits limits;
    std::uint64_t backend_cache_max = 100'000;
    ScramUse scram = ScramUse::automatic;
};

// Whose tokens are taken; config_oauth.h.
struct OauthConfig {
    std::string issuer, audience;
    std::string jwks_url, jwks_file, introspection_url;  // one of them; all empty: no tokens are taken
    std::string client_id, client_secret_file;
    std::string claim;  // empty: the usual one
    std::string scope, openid_configuration;
    std::string ca_file;  // PEM; empty: the system's
    seconds leeway{60};
    seconds cache_time{300};
    std::uint64_t cached_max = 10'000;
    seconds timeout{10};
    bool configured() const { return !jwks_url.empty() || !jwks_file.empty() || !introspection_url.empty(); }
};

// The guard as it is without a configuration: what comes from this machine itself is shared by its users.
inline auth::GuardSettings default_guard() {
    auth::GuardSettings settings;
    settings.shared = {*Network::parse("127.0.0.1"), *Network::parse("::1")};
    return settings;
}

struct GuardConfig {
    auth::GuardSettings settings = default_guard();
};

struct AdminConfig {
    std::string socket = "/run/pier/pier.sock";  // empty: no management
};

struct LimitsConfig {
    std::uint64_t connections_max = 10'000;
    std::uint64_t connections_per_address_max = 100;      // loopback and Unix sockets are not counted
    std::uint64_t new_connections_per_minute_max = 1000;  // of one address; the same; 0: no limit
    std::uint64_t sessions_per_account_max = 0;           // 0: no limit
};

struct Config {
    ServerConfig server;
    LogConfig log;
    StoreConfig store;
    TlsConfig tls;
    AcmeConfig acme;
    std::vector<CertificateConfig> certificates;
    std::vector<ListenerConfig> listeners;
    Pop3Config pop3;
    LmtpConfig lmtp;
    SmtpConfig smtp;
    DeliveryConfig delivery;
    SubmissionConfig submission;
    FilterConfig filter;
    QueueConfig queue;
    AuthConfig auth;
    OauthConfig oauth;
    std::vector<backends::Settings> backends;  // in the order in which they are asked
    GuardConfig guard;
    AdminConfig admin;
    LimitsConfig limits;
    WatchConfig watch;
    AlertsConfig alerts;
};

// Puts in what depends on other values: the host's name, the usual listeners if there are none, their names
// and use of TLS, copies of limits that two parts need. load_config() has done it; a Config made by hand
// needs it.
void finish(Config& config);

// ---- the description of every field ----

enum class Kind { text, path, flag, count, octets, duration, word, networks, names };

// A field's value whatever its type: octets as they are, durations in seconds, a word, networks and names as
// the file has them.
using Value = std::variant<bool, std::uint64_t, std::string, std::vector<std::string>>;

struct Field {
    std::string_view key;
    Kind kind{};
    std::string_view help;  // one or two sentences
    // Of count, octets and duration; of text and path: octets of its length; of networks and names: how many.
    std::uint64_t min = 0, max = 0;
    std::vector<std::string_view> words{};  // of word
    // `index` chooses the listener, certificate or back end; it is not looked at for the other sections.
    std::function<Value(const Config&, std::size_t index)> get{};
    // The value is of this kind and in its range.
    std::function<void(Config&, std::size_t index, const Value&)> set{};
    bool secret = false;  // its value may hold a secret: `pier history` does not show it
};

struct Section {
    std::string_view name;
    std::string_view help;
    // Of a section that may be there several times, as [[listener]]: how many there are, and one more. Its
    // name may be two words, as watch.target: then it stands behind the section of the first.
    std::size_t (*count)(const Config&) = nullptr;
    void (*add)(Config&) = nullptr;
    std::string_view reload{};  // what `pier reload` does about it; empty: changes need a restart
    std::vector<Field> fields{};

    bool repeated() const { return count != nullptr; }
};

const std::vector<Section>& sections();

// There is a certificate, or ACME gets one.
bool has_tls(const Config& config);

// What the configuration says of TLS, which is configured.
net::TlsSettings tls_settings(const Config& config);

// Whether clients are offered SCRAM.
bool offers_scram(const Config& config);

// The protocol's registered port (RFC 1939 §3, RFC 6409 §3.1, RFC 8314 §7; RFC 8555 §8.3, RFC 8737 §3; 24, as
// is common, for LMTP; 9110 for metrics).
std::uint16_t usual_port(Protocol protocol);

std::string_view to_string(Protocol protocol);
std::string_view to_string(TlsUse use);

}  // namespace pier::program
