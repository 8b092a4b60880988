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
#include "base/log.h"
#include "maildrop/policy.h"
#include "net/tls.h"
#include "pop3/session.h"
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
    std::string key;  // PEM; empty: it is in the certificate's file
    seconds handshake_timeout{10};
    bool configured() const { return !certificate.empty(); }
    const std::string& key_file() const { return key.empty() ? certificate : key; }
};

// Beside TlsConfig's, for the names that it holds.
struct CertificateConfig {
    std::string file;  // PEM, the whole chain
    std::string key;   // PEM; empty: it is in `file`
    const std::string& key_file() const { return key.empty() ? file : key; }
};

enum class Protocol { pop3, pop3s, lmtp };
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

struct AuthConfig {
    auth::AuthLimits limits;
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
    std::vector<CertificateConfig> certificates;
    std::vector<ListenerConfig> listeners;
    Pop3Config pop3;
    LmtpConfig lmtp;
    AuthConfig auth;
    GuardConfig guard;
    AdminConfig admin;
    LimitsConfig limits;
};

// Puts in what depends on other values: the host's name, the usual listeners if there are none, their names
// and use of TLS, copies of limits that two parts need. load_config() has done it; a Config made by hand
// needs it.
void finish(Config& config);

// ---- the description of every field ----

enum class Kind { text, path, flag, count, octets, duration, word, networks };

// A field's value whatever its type: octets as they are, durations in seconds, a word and networks as the
// file has them.
using Value = std::variant<bool, std::uint64_t, std::string, std::vector<std::string>>;

struct Field {
    std::string_view key;
    Kind kind{};
    std::string_view help;  // one or two sentences
    // Of count, octets and duration; of text and path: octets of its length; of networks: how many.
    std::uint64_t min = 0, max = 0;
    std::vector<std::string_view> words{};  // of word
    // `index` chooses the listener or certificate; it is not looked at for the other sections.
    std::function<Value(const Config&, std::size_t index)> get{};
    // The value is of this kind and in its range.
    std::function<void(Config&, std::size_t index, const Value&)> set{};
};

struct Section {
    std::string_view name;
    std::string_view help;
    // Of a section that may be there several times, as [[listener]]: how many there are, and one more.
    std::size_t (*count)(const Config&) = nullptr;
    void (*add)(Config&) = nullptr;
    std::string_view reload{};  // what `pier reload` does about it; empty: changes need a restart
    std::vector<Field> fields{};

    bool repeated() const { return count != nullptr; }
};

const std::vector<Section>& sections();

// What the configuration says of TLS, which is configured.
net::TlsSettings tls_settings(const Config& config);

// The protocol's registered port (RFC 1939 §3, RFC 8314 §7; 24, as is common, for LMTP).
std::uint16_t usual_port(Protocol protocol);

std::string_view to_string(Protocol protocol);
std::string_view to_string(TlsUse use);

}  // namespace pier::program
