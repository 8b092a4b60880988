#include "migrate/server_url.h"

#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "wire/ascii.h"

namespace pier::migrate {
namespace {

struct Scheme {
    std::string_view name;
    ServerUrl::Protocol protocol;
    bool tls;
    std::uint16_t port;
};
constexpr std::array<Scheme, 5> schemes{{{"pop3", ServerUrl::Protocol::pop3, false, 110},
                                         {"pops", ServerUrl::Protocol::pop3, true, 995},
                                         {"pop3s", ServerUrl::Protocol::pop3, true, 995},
                                         {"imap", ServerUrl::Protocol::imap, false, 143},
                                         {"imaps", ServerUrl::Protocol::imap, true, 993}}};

Error bad_url(std::string_view what) {
    return {ErrorKind::invalid,
            fmt::format("the server's address {}; write it as in pops://ada@old.example.org or "
                        "imaps://old.example.org:993",
                        what)};
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        if (text.front() != '%') {
            out += text.front();
            text.remove_prefix(1);
            continue;
        }
        unsigned octet = 0;
        if (text.size() < 3) return std::nullopt;
        const auto [stop, error] = std::from_chars(text.data() + 1, text.data() + 3, octet, 16);
        if (error != std::errc() || stop != text.data() + 3) return std::nullopt;
        out += static_cast<char>(octet);
        text.remove_prefix(3);
    }
    return out;
}

// "host", "host:110", "[::1]:110"
Result<void> parse_authority(std::string_view text, ServerUrl& url) {
    std::string_view port;
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) return bad_url("has a '[' without ']'");
        url.host = text.substr(1, close - 1);
        port = text.substr(close + 1);
    } else {
        url.host = text.substr(0, text.find(':'));
        port = text.substr(url.host.size());
    }
    if (url.host.empty()) return bad_url("names no host");
    if (port.empty()) return {};
    if (port.front() != ':') return bad_url("has something behind ']'");
    port.remove_prefix(1);
    const auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (port.empty() || error != std::errc() || stop != port.data() + port.size() || url.port == 0)
        return bad_url("has a port that is no number from 1 to 65535");
    return {};
}

}  // namespace

std::string ServerUrl::text() const {
    const std::string_view scheme =
        protocol == Protocol::pop3 ? (tls ? "pops" : "pop3") : (tls ? "imaps" : "imap");
    const bool brackets = host.find(':') != std::string::npos;
    return fmt::format("{}://{}{}{}:{}", scheme, brackets ? "[" : "", host, brackets ? "]" : "", port);
}

Result<ServerUrl> parse_server_url(std::string_view text) {
    ServerUrl url;
    const auto colon = text.find("://");
    if (colon == std::string_view::npos) return bad_url("has no scheme");
    const Scheme* scheme = nullptr;
    for (const Scheme& one : schemes) {
        if (wire::ascii_equal(text.substr(0, colon), one.name)) scheme = &one;
    }
    if (!scheme) return bad_url(fmt::format("begins with {}", text.substr(0, colon)));
    url.protocol = scheme->protocol;
    url.tls = scheme->tls;
    url.port = scheme->port;
    text.remove_prefix(colon + 3);
    if (text.ends_with('/')) text.remove_suffix(1);
    // Users are often addresses: the last '@' is the one in front of the host.
    if (const auto at = text.rfind('@'); at != std::string_view::npos) {
        const std::string_view user = text.substr(0, at);
        if (user.find(':') != std::string_view::npos)
            return bad_url("must hold no password (a ':' of the user name is %3A)");
        const auto decoded = percent_decoded(user);
        if (!decoded) return bad_url("has a '%' that is no percent-encoding (a '%' itself is %25)");
        url.user = *decoded;
        text.remove_prefix(at + 1);
    }
    if (auto parsed = parse_authority(text, url); !parsed) return parsed.error();
    return url;
}

}  // namespace pier::migrate
