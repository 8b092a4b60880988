#include "main/config.h"

#include <array>
#include <limits>
#include <span>
#include <type_traits>

#include <fmt/format.h>
#include <unistd.h>

#include "backends/kinds.h"
#include "main/config_acme.h"
#include "main/config_alerts.h"
#include "main/config_backends.h"
#include "main/config_delivery.h"
#include "main/config_fields.h"
#include "main/config_oauth.h"
#include "main/config_queue.h"
#include "main/config_submission.h"
#include "main/config_watch.h"

namespace pier::program {
namespace {

using namespace std::string_view_literals;

// The words of the file for each enumerator, in the enum's order.
constexpr std::array protocol_words{"pop3"sv,        "pop3s"sv, "lmtp"sv,      "smtp"sv,   "submission"sv,
                                    "submissions"sv, "acme"sv,  "acme-http"sv, "metrics"sv};
constexpr std::array tls_policy_words{"intermediate"sv, "modern"sv};
constexpr std::array client_name_words{"san-email"sv, "san-dns"sv, "cn"sv};
constexpr std::array tls_words{"auto"sv, "none"sv, "starttls"sv, "implicit"sv};
constexpr std::array clear_login_words{"never"sv, "loopback"sv, "always"sv};
constexpr std::array level_words{"debug"sv, "info"sv, "warning"sv, "error"sv};
constexpr std::array format_words{"logfmt"sv, "json"sv};
constexpr std::array scram_words{"auto"sv, "on"sv, "off"sv};
constexpr std::array over_quota_words{"temporary"sv, "permanent"sv};
constexpr std::array deleted_words{"removed"sv, "trash"sv, "hidden"sv};
constexpr std::uint64_t days_max = 36'500;

#define AT(member)                      \
    [](auto& c, std::size_t) -> auto& { \
        return c.member;                \
    }
#define OF_LISTENER(member)               \
    [](auto& c, std::size_t i) -> auto& { \
        return c.listeners[i].member;     \
    }
#define OF_CERTIFICATE(member)            \
    [](auto& c, std::size_t i) -> auto& { \
        return c.certificates[i].member;  \
    }

constexpr std::size_t networks_max = 1000;  // in one list: each connection is compared with all of them

Section server_section() {
    return {
        .name = "server",
        .help = "The machine and the process.",
        .fields = {
            text(
                "hostname", Kind::text, AT(server.hostname), 255,
                "The name this server gives in greetings and trace fields. The machine's own name if empty."),
            text("data_folder", Kind::path, AT(server.data_folder), path_octets_max,
                 "Where all mail and all accounts are kept. Only one process uses it at a time."),
            text("user", Kind::text, AT(server.user), 32,
                 "The user to become after the ports are bound, when started as root. Empty: stay root."),
            count("threads", AT(server.threads), {0, 1024}, "Event loops. 0: one for each core."),
            duration("shutdown_grace", AT(server.shutdown_grace), {0, hour},
                     "How long open sessions may go on after the server was asked to stop."),
            flag("sandbox", AT(server.sandbox),
                 "The running server reaches only its own files and system calls. Switch it off only to "
                 "look at the process with a debugger."),
        }};
}

Section log_section() {
    return {.name = "log",
            .help = "One line for each event.",
            .reload = "`pier reload` takes changes up.",
            .fields = {
                word("level", AT(log.level), level_words, "The least important level that is written."),
                word("format", AT(log.format), format_words, "logfmt reads well; json is for programs."),
                text("file", Kind::path, AT(log.file), path_octets_max,
                     "The file that lines are added to. Empty: standard error, which systemd sends to the "
                     "journal."),
                count("recent_lines_max", AT(log.recent_lines_max), {0, 100'000},
                      "Lines kept in memory for `pier log tail`."),
            }};
}

Section store_section() {
    return {
        .name = "store",
        .help = "How mail is kept on disk.",
        .fields = {
            octets("message_size_max", AT(store.message_octets_max), {64 * kib, 64 * gib},
                   "The largest message that is taken in, by delivery or by import."),
            octets("segment_size_max", AT(store.segment_octets_max), {mib, 16 * gib},
                   "The size at which a file of the log is closed and the next one begun."),
            octets("spool_memory_max", AT(store.spool_memory_octets), {4 * kib, gib},
                   "A message on its way in is kept in memory up to this size and in a file beyond it."),
            octets("listing_cache_size", AT(store.listing_cache_octets), {mib, 1024 * gib},
                   "Memory for lists of what mailboxes hold, 36 octets a message: a mailbox whose list is "
                   "there is opened at once."),
            octets("index_cache_size", AT(store.index_cache_octets), {8 * mib, 1024 * gib},
                   "Memory for parts of the index."),
            count("segment_files_max", AT(store.segment_files_max), {16, 1'000'000},
                  "Files of the log that stay open for reading; those in use come on top."),
            duration("purge_after", AT(store.purge_after), {0, 3650 * day},
                     "Removed mail has left the disk after this time."),
            flag("cleaner", AT(store.cleaner),
                 "Gives the space of removed mail back. Switch it off only to look at a damaged store."),
        }};
}

Section tls_section() {
    return {
        .name = "tls",
        .help =
            "The certificate of this server. Without one there is no TLS, and passwords are taken only "
            "over loopback.",
        .reload = "`pier reload` reads the files again.",
        .fields = {
            text("certificate", Kind::path, AT(tls.certificate), path_octets_max,
                 "A PEM file: the certificate, then those that lead from it to its authority."),
            text("key", Kind::path, AT(tls.key), path_octets_max,
                 "A PEM file with the private key. Empty: it is in the certificate's file."),
            text(
                "ocsp", Kind::path, AT(tls.ocsp), path_octets_max,
                "A DER file with what the authority says of the certificate (OCSP), which is sent along with "
                "it. Empty: Pier asks for it, if the certificate names a responder."),
            flag("ocsp_fetch", AT(tls.ocsp_fetch),
                 "Whether Pier asks the responders that certificates name."),
            text("ticket_keys", Kind::path, AT(tls.ticket_keys), path_octets_max,
                 "A file of keys for session tickets, which \"pier tls ticket-keys\" makes: nodes that have "
                 "the "
                 "same one resume each other's sessions. Empty: keys of this process alone."),
            word("policy", AT(tls.policy), tls_policy_words,
                 "Mozilla's: intermediate takes TLS 1.2 and 1.3, modern 1.3 alone."),
            text("client_ca", Kind::path, AT(tls.clients.ca_file), path_octets_max,
                 "A PEM file: the authorities of client certificates, and their revocation lists if there "
                 "are any. Who shows a certificate of theirs may log in by it (EXTERNAL). Empty: nobody is "
                 "asked for one."),
            word("client_name", AT(tls.clients.name), client_name_words,
                 "What of a client's certificate names the account: an e-mail address or a host name of "
                 "its alternative names, or its common name."),
            duration("handshake_timeout", AT(tls.handshake_timeout), {1, 5 * minute},
                     "How long a client may take for the handshake."),
        }};
}

Section certificate_section() {
    return {
        .name = "certificate",
        .help =
            "Further certificates, as many as needed, for clients that ask for a name that the one of [tls] "
            "does "
            "not hold (SNI). Who asks for none, or for a name that no certificate holds, gets that of [tls].",
        .count = [](const Config& c) { return c.certificates.size(); },
        .add = [](Config& c) { c.certificates.emplace_back(); },
        .reload = "`pier reload` reads the files again.",
        .fields =
            {
                text("file", Kind::path, OF_CERTIFICATE(file), path_octets_max,
                     "A PEM file: the certificate, then those that lead from it to its authority."),
                text("key", Kind::path, OF_CERTIFICATE(key), path_octets_max,
                     "A PEM file with the private key. Empty: it is in the certificate's file."),
                text("ocsp", Kind::path, OF_CERTIFICATE(ocsp), path_octets_max,
                     "A DER file with what the authority says of it. Empty: as in [tls]."),
            }};
}

Section listener_section() {
    return {
        .name = "listener",
        .help =
            "A place where clients connect; as many as needed. Without any: POP3 on port 110, POP3 over TLS "
            "on "
            "port 995 if there is a certificate, and LMTP on the socket /run/pier/lmtp.sock.",
        .count = [](const Config& c) { return c.listeners.size(); },
        .add = [](Config& c) { c.listeners.emplace_back(); },
        .fields =
            {
                text("name", Kind::text, OF_LISTENER(name), 64,
                     "Its name in the log and in `pier status`, and the FileDescriptorName of a socket that "
                     "systemd "
                     "passes in its place. Empty: the protocol and the port."),
                word("protocol", OF_LISTENER(protocol), protocol_words,
                     "What is spoken there. acme and acme-http answer the authority of [acme] and nobody "
                     "else; metrics shows a monitoring system how the server is (docs/monitoring.md)."),
                text("address", Kind::text, OF_LISTENER(address), 64,
                     "An IP address of this machine; * is every one, IPv6 and IPv4. A listener for metrics "
                     "without allow takes * for 127.0.0.1."),
                count(
                    "port", OF_LISTENER(port), {0, 65535},
                    "The TCP port: by default 110 for pop3, 995 for pop3s, 24 for lmtp, 25 for smtp, 587 for "
                    "submission, 465 for submissions, 443 for acme, 80 for acme-http, 9110 for metrics. 0: "
                    "any "
                    "free one."),
                text("path", Kind::path, OF_LISTENER(path), 107,
                     "A Unix socket, in place of address and port."),
                word("tls", OF_LISTENER(tls), tls_words,
                     "starttls: the client asks for TLS; implicit: TLS from the first octet. auto: implicit "
                     "for pop3s and submissions, starttls for pop3, smtp and submission if there is a "
                     "certificate, none for lmtp."),
                word("clear_login", OF_LISTENER(clear_login), clear_login_words,
                     "From where a password is taken without TLS."),
                networks("allow", OF_LISTENER(access.allow), networks_max,
                         "The networks from which clients may connect, as in [\"192.0.2.0/24\"]; others are "
                         "closed at "
                         "once, before TLS. Empty: everybody."),
                networks("deny", OF_LISTENER(access.deny), networks_max,
                         "Networks from which nobody may connect, though they are allowed."),
                networks("proxies", OF_LISTENER(proxies), networks_max,
                         "Proxies in front of Pier (HAProxy, nginx) that tell with the PROXY protocol, "
                         "version 1 or "
                         "2, who "
                         "their client is; he is then what counts for allow, deny, limits, guard and log. "
                         "They must "
                         "send it, and nobody else is believed."),
                networks("xclient", OF_LISTENER(xclient), networks_max,
                         "Proxies in front of Pier (Dovecot) that tell with XCLIENT, within POP3, who their "
                         "client is; "
                         "he is then what counts for allow, deny, guard and log. Nobody else is believed."),
            }};
}

Section pop3_section() {
    return {
        .name = "pop3",
        .help = "POP3 (RFC 1939).",
        .fields = {
            duration("login_timeout", AT(pop3.login_timeout), {1, hour},
                     "How long a client may wait before it has logged in."),
            duration(
                "idle_timeout", AT(pop3.idle_timeout), {1, day},
                "How long a client may be silent after login. RFC 1939 §3 demands at least ten minutes."),
            duration("login_delay", AT(pop3.login_delay), {0, day},
                     "How long an account has to wait between two logins (RFC 2449 §6.6): who comes too soon "
                     "is told "
                     "[LOGIN-DELAY]. It counts all of its devices together. 0: not at all."),
            flag("exclusive", AT(pop3.exclusive),
                 "One session at a time for every account (RFC 1939's lock). Without it sessions do not "
                 "disturb "
                 "each other, and the lock can be set for single accounts."),
            word("deleted", AT(pop3.policy.deleted), deleted_words,
                 "What becomes of mail that a client deletes: removed (it is gone), trash (it goes to the "
                 "mailbox Trash, and counts for the quota as before), or hidden (nobody sees it and it does "
                 "not "
                 "count, but until hidden_days are over \"pier undelete\" brings it back)."),
            count("hidden_days", AT(pop3.policy.hidden_days), {0, days_max},
                  "How many days deleted mail is kept, if it is hidden."),
            count("expire_days", AT(pop3.policy.expire_days), {0, days_max},
                  "Mail that came in more days ago is deleted, and clients are told so in CAPA (RFC 2449 "
                  "§6.7). 0: never."),
            count("show_days", AT(pop3.policy.show_days), {0, days_max},
                  "Clients are shown mail that is no older than so many days; older mail is kept. 0: all."),
            count("show_messages", AT(pop3.policy.show_messages), {0, 100'000'000},
                  "Clients are shown no more messages than so many, the last ones; the others are kept. 0: "
                  "all."),
            count(
                "recent_days", AT(pop3.policy.recent_days), {0, days_max},
                "Who logs in as recent:ada instead of ada is shown the mail of so many days again, with what "
                "another device has deleted but is still kept. 0: there is no such login."),
            text("greeting", Kind::text, AT(pop3.greeting), 400, "What stands behind +OK in the greeting."),
            octets("line_size_max", AT(pop3.limits.line_octets_max), {255, 64 * kib},
                   "The longest command line, with its line end."),
            octets("auth_line_size_max", AT(pop3.limits.auth_line_octets_max), {4 * kib, mib},
                   "The longest line within AUTH."),
            octets("output_size_max", AT(pop3.limits.output_octets_max), {kib, mib},
                   "Replies that are gathered before they are written."),
            count("bad_commands_max", AT(pop3.limits.bad_commands_max), {1, 10'000},
                  "Wrong commands in a row, then the connection is closed."),
            count("failed_logins_max", AT(pop3.limits.failed_logins_max), {1, 1000},
                  "Failed logins, then the connection is closed."),
        }};
}

Section lmtp_section() {
    return {.name = "lmtp",
            .help = "Mail in, from the mail server that takes it from the world (RFC 2033).",
            .fields = {
                duration("idle_timeout", AT(lmtp.idle_timeout), {1, day},
                         "How long a client may be silent. RFC 5321 §4.5.3.2 asks for five minutes."),
                word("over_quota", AT(lmtp.over_quota), over_quota_words,
                     "What delivery.over_quota was called before; permanent if one of them is."),
                octets("line_size_max", AT(lmtp.limits.line_octets_max), {512, 64 * kib},
                       "The longest command line, with its line end."),
                octets("text_line_size_max", AT(lmtp.limits.text_line_octets_max), {1000, gib},
                       "The longest line of a message; longer ones are refused."),
                count("recipients_max", AT(lmtp.limits.recipients_max), {100, 100'000},
                      "Recipients of one message."),
                count("bad_commands_max", AT(lmtp.limits.bad_commands_max), {1, 10'000},
                      "Wrong commands, then the connection is closed."),
                octets("output_size_max", AT(lmtp.limits.output_octets_max), {kib, mib},
                       "Replies that are gathered before they are written."),
            }};
}

Section smtp_section() {
    return {
        .name = "smtp",
        .help = "Mail in, from the world (RFC 5321), for the domains of this server and nobody else.",
        .fields = {
            duration("idle_timeout", AT(smtp.idle_timeout), {1, day},
                     "How long a client may be silent. RFC 5321 §4.5.3.2 asks for five minutes."),
            text("postmaster", Kind::text, AT(smtp.postmaster), 255,
                 "The account that gets mail for postmaster where no account and no alias has that name: it "
                 "has to arrive (RFC 5321 §4.5.1). Empty: the oldest account."),
            octets("line_size_max", AT(smtp.limits.line_octets_max), {512, 64 * kib},
                   "The longest command line, with its line end."),
            octets("text_line_size_max", AT(smtp.limits.text_line_octets_max), {1000, gib},
                   "The longest line of a message; longer ones are refused."),
            count("recipients_max", AT(smtp.limits.recipients_max), {100, 100'000},
                  "Recipients of one message."),
            count("hops_max", AT(smtp.limits.hops_max), {20, 10'000},
                  "Servers that a message may have passed; one with more goes round in circles."),
            count("bad_commands_max", AT(smtp.limits.bad_commands_max), {1, 10'000},
                  "Wrong commands, then the connection is closed."),
            octets("output_size_max", AT(smtp.limits.output_octets_max), {kib, mib},
                   "Replies that are gathered before they are written."),
        }};
}

Section auth_section() {
    return {
        .name = "auth",
        .help = "Password checks.",
        .fields = {
            count("threads", AT(auth.limits.threads), {1, 256},
                  "Passwords checked at the same time; each check costs a core and about 20 MiB."),
            count("waiting_max", AT(auth.limits.waiting_max), {1, 1'000'000},
                  "Checks that may wait; more clients than that are told to come back."),
            count("remembered_max", AT(auth.limits.remembered_max), {0, 100'000'000},
                  "Passwords remembered (as a keyed hash, in memory) after a check, so that the next login "
                  "with the same one is cheap; about 120 octets each. 0: none."),
            count("backend_cache_max", AT(auth.backend_cache_max), {0, 100'000'000},
                  "Names of which it is remembered, in memory, what the back ends have said, and passwords "
                  "that were right (as a keyed hash); about 400 octets each. 0: none."),
            word("scram", AT(auth.scram), scram_words,
                 "Whether clients are offered SCRAM. Nobody whom a back end knows can log in with it, and "
                 "most "
                 "clients choose it if it is offered: so auto offers it if there is no [[backend]]."),
        }};
}

Section guard_section() {
    return {
        .name = "guard",
        .help =
            "Against guessing of passwords and scanning. An address from which an account has logged in "
            "before is "
            "only slowed down for it, never blocked; docs/security.md says more.",
        .fields = {
            flag("enabled", AT(guard.settings.enabled), "Whether anything is counted, delayed and blocked."),
            count("delay_after", AT(guard.settings.delay_after), {0, 1000},
                  "Wrong passwords without a delay; the next wait 1, 2, 4 and so on seconds."),
            duration("delay_max", AT(guard.settings.delay_max), {0, 50},
                     "The longest delay before a password is checked."),
            count("pair_failures_max", AT(guard.settings.pair_failures_max), {1, 100'000},
                  "Wrong passwords for one account from one address within the window; then that address is "
                  "blocked for that account."),
            count("address_failures_max", AT(guard.settings.address_failures_max), {1, 100'000},
                  "Wrong passwords from one address (IPv6: one /64) within the window, whatever the account; "
                  "then "
                  "it is blocked."),
            count("account_failures_max", AT(guard.settings.account_failures_max), {1, 1'000'000},
                  "Wrong passwords for one account within the window, whatever the address; then only "
                  "addresses "
                  "from which it has logged in before are let in."),
            count("scans_max", AT(guard.settings.scans_max), {1, 1'000'000},
                  "Connections of one address within the window that never log in, send nonsense or no TLS; "
                  "then "
                  "it is blocked."),
            duration("window", AT(guard.settings.window), {minute, 30 * day},
                     "The time within which counts are gone again, at an even rate."),
            duration("block_time", AT(guard.settings.block_time), {1, 30 * day},
                     "How long the first block lasts; each further one lasts twice as long."),
            duration("block_time_max", AT(guard.settings.block_time_max), {1, 365 * day},
                     "The longest block."),
            count("entries_max", AT(guard.settings.entries_max), {1000, 10'000'000},
                  "Addresses, accounts and pairs of both that are counted at the same time, of each kind; "
                  "about "
                  "300 octets each."),
            networks(
                "shared_networks", AT(guard.settings.shared), networks_max,
                "Addresses behind which many people sit, as a web mail, a proxy or an office: there only "
                "accounts are counted, never the address."),
        }};
}

Section admin_section() {
    return {
        .name = "admin",
        .help = "Management of the running server.",
        .fields = {
            text("socket", Kind::path, AT(admin.socket), 107,
                 "The Unix socket over which the pier commands reach the server. Who may write to it may do "
                 "everything. Empty: none."),
        }};
}

Section limits_section() {
    return {
        .name = "limits",
        .help = "What the server holds out.",
        .fields = {
            count("connections_max", AT(limits.connections_max), {1, 1'000'000},
                  "Connections at the same time."),
            count("connections_per_address_max", AT(limits.connections_per_address_max), {1, 1'000'000},
                  "Connections at the same time from one address (IPv6: one /64). Loopback and Unix "
                  "sockets are "
                  "not counted."),
            count("new_connections_per_minute_max", AT(limits.new_connections_per_minute_max), {0, 1'000'000},
                  "New connections a minute from one address, counted in the same way. 0: no limit."),
            count("sessions_per_account_max", AT(limits.sessions_per_account_max), {0, 1'000'000},
                  "Sessions at the same time of one account. 0: no limit; an idle session takes a few KiB."),
        }};
}

#undef AT
#undef OF_LISTENER

TlsUse usual_tls(Protocol protocol, bool certificate) {
    switch (protocol) {
        case Protocol::pop3:
        case Protocol::smtp:
        case Protocol::submission:
            return certificate ? TlsUse::starttls : TlsUse::none;
        case Protocol::pop3s:
        case Protocol::submissions:
            return TlsUse::implicit;
        case Protocol::acme:
            return TlsUse::implicit;
        case Protocol::lmtp:
        case Protocol::acme_http:
        case Protocol::metrics:
            return TlsUse::none;
    }
    return TlsUse::none;
}

}  // namespace

std::uint16_t usual_port(Protocol protocol) {
    switch (protocol) {
        case Protocol::pop3:
            return 110;
        case Protocol::pop3s:
            return 995;
        case Protocol::lmtp:
            return 24;
        case Protocol::smtp:
            return 25;
        case Protocol::submission:
            return 587;
        case Protocol::submissions:
            return 465;
        case Protocol::acme:
            return 443;
        case Protocol::acme_http:
            return 80;
        case Protocol::metrics:
            return 9110;
    }
    return 0;
}

void finish(Config& config) {
    if (config.server.hostname.empty()) {
        std::array<char, 256> name{};
        if (gethostname(name.data(), name.size() - 1) == 0) config.server.hostname = name.data();
        if (config.server.hostname.empty()) config.server.hostname = "localhost";
    }
    if (config.listeners.empty()) {
        config.listeners.push_back({.protocol = Protocol::pop3, .port = usual_port(Protocol::pop3)});
        if (has_tls(config))
            config.listeners.push_back({.protocol = Protocol::pop3s, .port = usual_port(Protocol::pop3s)});
        const bool http = config.acme.challenge == AcmeChallenge::http_01;
        const Protocol asked = http ? Protocol::acme_http : Protocol::acme;
        if (config.acme.configured())
            config.listeners.push_back({.protocol = asked, .port = usual_port(asked)});
        config.listeners.push_back({.protocol = Protocol::lmtp, .path = "/run/pier/lmtp.sock"});
    }
    for (ListenerConfig& listener : config.listeners) {
        if (listener.tls == TlsUse::automatic) listener.tls = usual_tls(listener.protocol, has_tls(config));
        // Nothing secret, and yet nobody's business: who wants to be asked from elsewhere says by whom.
        if (listener.protocol == Protocol::metrics && listener.address == "*" &&
            listener.access.allow.empty())
            listener.address = "127.0.0.1";
        if (!listener.name.empty()) continue;
        listener.name = listener.path.empty()
                            ? fmt::format("{}-{}", to_string(listener.protocol), listener.port)
                            : fmt::format("{}-socket", to_string(listener.protocol));
    }
    for (backends::Settings& settings : config.backends)
        if (settings.name.empty()) settings.name = backends::to_string(settings.kind);
    finish_alerts(config);
    config.lmtp.limits.message_octets_max = config.store.message_octets_max;
    config.smtp.limits.message_octets_max = config.store.message_octets_max;
    config.submission.limits.message_octets_max = config.store.message_octets_max;
}

const std::vector<Section>& sections() {
    static const std::vector<Section> all{
        server_section(),        log_section(),          store_section(),        tls_section(),
        certificate_section(),   acme_section(),         listener_section(),     pop3_section(),
        lmtp_section(),          smtp_section(),         submission_section(),   delivery_section(),
        queue_section(),         filter_section(),       auth_section(),         oauth_section(),
        backend_section(),       guard_section(),        admin_section(),        limits_section(),
        watch_section(),         watch_target_section(), watch_canary_section(), alerts_section(),
        alerts_channel_section()};
    return all;
}

bool has_tls(const Config& config) {
    return config.tls.configured() || config.acme.configured();
}

net::TlsSettings tls_settings(const Config& config) {
    net::TlsSettings settings{.files = {config.tls.certificate, config.tls.key_file(), config.tls.ocsp},
                              .policy = config.tls.policy,
                              .ticket_keys = config.tls.ticket_keys,
                              .clients = config.tls.clients};
    if (config.acme.configured()) {
        const std::string file = config.server.data_folder + "/acme/certificate.pem";
        settings.files = {file, file, ""};
        settings.stand_in = config.acme.domains;
    }
    if (config.tls.ocsp_fetch) settings.ocsp_folder = config.server.data_folder + "/ocsp";
    for (const CertificateConfig& one : config.certificates)
        if (!one.file.empty()) settings.others.push_back({one.file, one.key_file(), one.ocsp});
    return settings;
}

std::string_view to_string(Protocol protocol) {
    return protocol_words[static_cast<std::size_t>(protocol)];
}

std::string_view to_string(TlsUse use) {
    return tls_words[static_cast<std::size_t>(use)];
}

}  // namespace pier::program
