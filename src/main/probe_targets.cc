#include "main/probe_targets.h"

#include <array>
#include <charconv>

#include <fmt/format.h>

namespace pier::program {
namespace {

using watch::TlsMode;
using watch::usual_use;

constexpr std::array<std::uint16_t, 7> mail_ports{25, 110, 143, 465, 587, 993, 995};
constexpr std::uint16_t lmtp_port = 24;

Error wrong(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

struct HostAndPort {
    std::string host;
    std::optional<std::uint16_t> port;
};

Result<HostAndPort> split(std::string_view text) {
    HostAndPort parts;
    std::string_view port;
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) return wrong(fmt::format("\"{}\" has a '[' without ']'", text));
        parts.host = text.substr(1, close - 1);
        port = text.substr(close + 1);
    } else if (const auto colon = text.find(':'); colon != text.rfind(':')) {
        parts.host = text;  // an IPv6 address without a port
    } else {
        parts.host = text.substr(0, colon);
        port = text.substr(parts.host.size());
    }
    if (parts.host.empty()) return wrong(fmt::format("\"{}\" names no host", text));
    if (port.empty()) return parts;
    std::uint16_t number = 0;
    const char* end = port.data() + port.size();
    const auto [stop, error] = std::from_chars(port.data() + 1, end, number);
    if (port.front() != ':' || error != std::errc() || stop != end || number == 0)
        return wrong(
            fmt::format("\"{}\": a port is a number from 1 to 65535, as in mail.example.org:995", text));
    parts.port = number;
    return parts;
}

// With which TLS a protocol is spoken on a port, when nobody has said.
TlsMode tls_of(watch::Protocol protocol, std::uint16_t port) {
    const auto use = usual_use(port);
    if (use && use->protocol == protocol) return use->tls;
    return protocol == watch::Protocol::lmtp ? TlsMode::none : TlsMode::starttls;
}

std::optional<watch::Protocol> protocol_of(const ListenerConfig& listener) {
    switch (listener.protocol) {
        case Protocol::pop3:
        case Protocol::pop3s:
            return watch::Protocol::pop3;
        case Protocol::smtp:
            return watch::Protocol::smtp;
        case Protocol::lmtp:
            return watch::Protocol::lmtp;
        case Protocol::submission:
        case Protocol::submissions:
            return watch::Protocol::submission;
        case Protocol::acme:
        case Protocol::acme_http:
        case Protocol::metrics:
            break;
    }
    return std::nullopt;
}

TlsMode tls_of(const ListenerConfig& listener) {
    switch (listener.tls) {
        case TlsUse::implicit:
            return TlsMode::implicit;
        case TlsUse::none:
            return TlsMode::none;
        default:
            return TlsMode::starttls;
    }
}

}  // namespace

Result<std::vector<ProbeTarget>> parse_probe_target(std::string_view text, const ProbeTargetWords& words) {
    const auto parts = split(text);
    if (!parts) return parts.error();
    const auto protocol = watch::protocol_of(words.protocol);
    const auto tls = watch::tls_mode_of(words.tls);
    std::vector<ProbeTarget> targets;
    const auto add = [&](std::uint16_t port, watch::Protocol spoken, bool may_be_closed) {
        targets.push_back(
            {{parts->host, port, spoken, tls.value_or(tls_of(spoken, port)), words.name}, may_be_closed});
    };
    if (parts->port) {
        const auto use = usual_use(*parts->port);
        if (!protocol && !use)
            return wrong(fmt::format("port {} is none of mail's own; say what it speaks with --protocol",
                                     *parts->port));
        add(*parts->port, protocol ? *protocol : use->protocol, false);
        return targets;
    }
    if (protocol == watch::Protocol::lmtp) {
        add(lmtp_port, *protocol, false);
        return targets;
    }
    for (const std::uint16_t port : mail_ports) {
        const auto use = *usual_use(port);
        // "starttls" and "none" are asked on the port that begins in clear.
        const bool fits = !tls || (*tls == TlsMode::implicit) == (use.tls == TlsMode::implicit);
        if ((!protocol || *protocol == use.protocol) && fits) add(port, use.protocol, true);
    }
    if (targets.empty()) return wrong("no usual port is for that; give one, as in mail.example.org:995");
    if (targets.size() == 1) targets.front().may_be_closed = false;
    return targets;
}

std::vector<ProbeTarget> own_listeners(const Config& config, const ProbeTargetWords& words) {
    std::vector<ProbeTarget> targets;
    const auto only = watch::protocol_of(words.protocol);
    for (const ListenerConfig& listener : config.listeners) {
        const auto protocol = protocol_of(listener);
        if (!protocol || !listener.path.empty() || listener.port == 0 || (only && *only != *protocol))
            continue;
        watch::Target target;
        target.host = listener.address == "*" || listener.address == "0.0.0.0" ? "127.0.0.1"
                      : listener.address == "::"                               ? "::1"
                                                                               : listener.address;
        target.port = listener.port;
        target.protocol = *protocol;
        target.tls = watch::tls_mode_of(words.tls).value_or(tls_of(listener));
        target.name = words.name.empty() ? config.server.hostname : words.name;
        targets.push_back({std::move(target), false});
    }
    return targets;
}

}  // namespace pier::program
