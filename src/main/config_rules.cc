#include "main/config_rules.h"

#include <boost/asio/ip/address.hpp>
#include <fmt/format.h>

#include "main/config_acme.h"
#include "main/config_alerts.h"
#include "main/config_backends.h"
#include "main/config_delivery.h"
#include "main/config_oauth.h"
#include "main/config_queue.h"
#include "main/config_watch.h"

namespace pier::program {
namespace {

constexpr seconds idle_timeout_min{600};  // RFC 1939 §3

bool is_loopback(const std::string& address) {
    boost::system::error_code error;
    const auto parsed = boost::asio::ip::make_address(address, error);
    return !error && parsed.is_loopback();
}

void check_address(Loaded& loaded, std::size_t index) {
    const ListenerConfig& listener = loaded.config.listeners[index];
    const auto given = [&](std::string_view key) {
        return loaded.places.contains(fmt::format("listener[{}].{}", index, key));
    };
    if (!listener.path.empty()) {
        for (const std::string_view key : {"address", "port"}) {
            if (given(key))
                loaded.add(Severity::error, loaded.listener_place(index, key),
                           fmt::format("listener.{} has no meaning beside listener.path (a Unix socket); "
                                       "take one of them out",
                                       key));
        }
        return;
    }
    boost::system::error_code error;
    boost::asio::ip::make_address(listener.address, error);
    if (error && listener.address != "*")
        loaded.add(
            Severity::error, loaded.listener_place(index, "address"),
            fmt::format("listener.address is \"{}\", which is not an IP address; write one of this machine's "
                        "addresses, or \"*\" for all of them",
                        listener.address));
}

void check_tls(Loaded& loaded, std::size_t index) {
    const ListenerConfig& listener = loaded.config.listeners[index];
    const auto error = [&](std::string text) {
        loaded.add(Severity::error, loaded.listener_place(index, "tls"), std::move(text));
    };
    if (listener.protocol == Protocol::pop3s && listener.tls != TlsUse::implicit)
        error(fmt::format(
            "pop3s is POP3 with TLS from the first octet, so listener.tls can't be \"{}\"; take the key out, "
            "or write protocol = \"pop3\"",
            to_string(listener.tls)));
    if (listener.protocol == Protocol::submissions && listener.tls != TlsUse::implicit)
        error(
            fmt::format("submissions is submission with TLS from the first octet, so listener.tls can't be "
                        "\"{}\"; take the "
                        "key out, or write protocol = \"submission\"",
                        to_string(listener.tls)));
    if (listener.protocol == Protocol::lmtp && listener.tls == TlsUse::starttls)
        error("LMTP has no STARTTLS here; write tls = \"implicit\", or use a Unix socket");
    if ((listener.protocol == Protocol::lmtp || listener.protocol == Protocol::smtp) &&
        loaded.places.contains(fmt::format("listener[{}].clear_login", index)))
        loaded.add(
            Severity::error, loaded.listener_place(index, "clear_login"),
            fmt::format("nobody logs in over {}, so listener.clear_login has no meaning there; take it out",
                        listener.protocol == Protocol::lmtp ? "LMTP" : "SMTP"));
    if (listener.protocol == Protocol::smtp && listener.tls == TlsUse::implicit)
        error("mail servers begin SMTP without TLS; write tls = \"starttls\", or take the key out");
    if (listener.protocol == Protocol::acme && listener.tls != TlsUse::implicit)
        error("an ACME authority begins with TLS, so take listener.tls out of a listener for acme");
    if (listener.protocol == Protocol::acme_http && listener.tls != TlsUse::none)
        error("an ACME authority asks without TLS, so take listener.tls out of a listener for acme-http");
    if (listener.protocol == Protocol::metrics && listener.tls != TlsUse::none)
        error(
            "metrics are shown without TLS, so take listener.tls out of a listener for metrics; a proxy in "
            "front of it can add TLS");
    if (listener.tls != TlsUse::none && !has_tls(loaded.config))
        error(fmt::format("listener \"{}\" needs a certificate; name it with certificate in [tls]",
                          listener.name));
}

void check_exposure(Loaded& loaded, std::size_t index) {
    const ListenerConfig& listener = loaded.config.listeners[index];
    if (!listener.path.empty() || is_loopback(listener.address)) return;
    if (listener.protocol == Protocol::acme || listener.protocol == Protocol::acme_http) return;
    if (listener.protocol == Protocol::metrics) {
        if (listener.access.allow.empty())
            loaded.add(
                Severity::warning, loaded.listener_place(index, "address"),
                fmt::format("listener \"{}\" shows its measurements to everybody who reaches {}:{}; name "
                            "the networks that may ask with listener.allow",
                            listener.name, listener.address, listener.port));
        return;
    }
    if (listener.protocol == Protocol::smtp) {
        if (listener.tls == TlsUse::none)
            loaded.add(Severity::warning, loaded.listener_place(index, "tls"),
                       fmt::format("listener \"{}\" takes mail without TLS; name a certificate in [tls]",
                                   listener.name));
        return;
    }
    if (listener.protocol == Protocol::lmtp) {
        loaded.add(
            Severity::warning, loaded.listener_place(index, "address"),
            fmt::format(
                "listener \"{}\" takes mail from everybody who reaches {}:{}; listen on 127.0.0.1 or a Unix "
                "socket unless a firewall guards it",
                listener.name, listener.address, listener.port));
        return;
    }
    if (listener.clear_login == ClearLogin::always && listener.tls != TlsUse::implicit)
        loaded.add(
            Severity::warning, loaded.listener_place(index, "clear_login"),
            fmt::format(
                "listener \"{}\" takes passwords in the clear from the network, where others can read them; "
                "write clear_login = \"loopback\"",
                listener.name));
    if (listener.clear_login != ClearLogin::always && listener.tls == TlsUse::none)
        loaded.add(
            Severity::warning, loaded.listener_place(index, "tls"),
            fmt::format(
                "nobody can log in on listener \"{}\" from the network: it has no TLS; name a certificate in "
                "[tls], or listen on 127.0.0.1 only",
                listener.name));
}

bool overlap(const ListenerConfig& a, const ListenerConfig& b) {
    if (a.path.empty() != b.path.empty()) return false;
    if (!a.path.empty()) return a.path == b.path;
    if (a.port != b.port || a.port == 0) return false;
    return a.address == b.address || a.address == "*" || b.address == "*";
}

void check_pairs(Loaded& loaded, std::size_t index) {
    const auto& listeners = loaded.config.listeners;
    const ListenerConfig& listener = listeners[index];
    if (!listener.path.empty() && listener.path == loaded.config.admin.socket)
        loaded.add(
            Severity::error, loaded.listener_place(index, "path"),
            fmt::format("{} is the management socket too ([admin] socket); give the listener another path",
                        listener.path));
    for (std::size_t other = 0; other < index; ++other) {
        if (overlap(listeners[other], listener)) {
            loaded.add(
                Severity::error, loaded.listener_place(index, listener.path.empty() ? "port" : "path"),
                fmt::format(
                    "listener \"{}\" listens where listener \"{}\" ({}) does already; change one of them or "
                    "take it out",
                    listener.name, listeners[other].name, loaded.listener_place(other, "").text()));
        } else if (listeners[other].name == listener.name) {
            loaded.add(
                Severity::error, loaded.listener_place(index, "name"),
                fmt::format("two listeners have the name \"{}\"; give each its own name", listener.name));
        }
    }
}

void check_certificates(Loaded& loaded) {
    for (std::size_t index = 0; index < loaded.config.certificates.size(); ++index) {
        const Place place = loaded.place(fmt::format("certificate[{}]", index), "file");
        if (loaded.config.certificates[index].file.empty())
            loaded.add(Severity::warning, place,
                       "this [[certificate]] names no file, so there is none; name one with file");
        else if (!has_tls(loaded.config))
            loaded.add(Severity::error, place,
                       "there is no certificate in [tls], which those in [[certificate]] stand beside; name "
                       "one there");
    }
}

}  // namespace

void check_rules(Loaded& loaded) {
    // A value that could not be read is its default here, and a warning about that would mislead.
    const bool all_read = loaded.usable();
    for (std::size_t index = 0; index < loaded.config.listeners.size(); ++index) {
        check_address(loaded, index);
        check_tls(loaded, index);
        if (all_read) check_exposure(loaded, index);
        check_pairs(loaded, index);
    }
    check_certificates(loaded);
    check_backends(loaded);
    check_acme(loaded);
    check_oauth(loaded);
    check_delivery(loaded);
    check_filter(loaded);
    check_queue(loaded);
    check_watch(loaded);
    check_alerts(loaded);
    const Config& config = loaded.config;
    if (config.server.data_folder.empty())
        loaded.add(
            Severity::error, loaded.place("server", "data_folder"),
            "server.data_folder is empty; name the folder that is to hold the mail, or take the key out");
    if (config.pop3.idle_timeout < idle_timeout_min)
        loaded.add(Severity::warning, loaded.place("pop3", "idle_timeout"),
                   fmt::format("pop3.idle_timeout is {}s, but RFC 1939 §3 promises clients at least ten "
                               "minutes; write \"10m\"",
                               config.pop3.idle_timeout.count()));
    if (config.store.segment_octets_max < config.store.message_octets_max)
        loaded.add(Severity::warning, loaded.place("store", "segment_size_max"),
                   "store.segment_size_max is less than store.message_size_max: a large message gets a file "
                   "of its own");
    const auth::GuardSettings& guard = config.guard.settings;
    if (guard.block_time > guard.block_time_max)
        loaded.add(Severity::warning, loaded.place("guard", "block_time"),
                   "guard.block_time is longer than guard.block_time_max, which then holds; make it shorter");
    if (guard.delay_max >= config.pop3.login_timeout)
        loaded.add(Severity::warning, loaded.place("guard", "delay_max"),
                   "guard.delay_max is not shorter than pop3.login_timeout, so nobody who has mistyped his "
                   "password a few times can log in; make one shorter or the other longer");
    if (!config.tls.key.empty() && config.tls.certificate.empty())
        loaded.add(Severity::error, loaded.place("tls", "key"),
                   "tls.key has no meaning without tls.certificate; name both");
    if (!config.tls.clients.ca_file.empty() && config.tls.certificate.empty())
        loaded.add(Severity::error, loaded.place("tls", "client_ca"),
                   "tls.client_ca has no meaning without tls.certificate; name both");
}

}  // namespace pier::program
