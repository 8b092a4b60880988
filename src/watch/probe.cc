#include "watch/probe.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace pier::watch {
namespace {

constexpr std::array<std::string_view, 5> protocol_words{"pop3", "imap", "smtp", "submission", "lmtp"};
constexpr std::array<std::string_view, 3> tls_words{"none", "starttls", "implicit"};
constexpr std::array<std::string_view, 3> severity_words{"note", "warning", "critical"};

template <class Word, std::size_t count>
std::optional<Word> word_in(const std::array<std::string_view, count>& words, std::string_view word) {
    const auto at = std::ranges::find(words, word);
    if (at == words.end()) return std::nullopt;
    return static_cast<Word>(at - words.begin());
}

std::optional<Severity> worst_of(const std::vector<Finding>& findings) {
    const auto worst = std::ranges::max_element(findings, {}, &Finding::severity);
    if (worst == findings.end()) return std::nullopt;
    return worst->severity;
}

constexpr std::array<PortUse, 8> usual_uses{{{24, Protocol::lmtp, TlsMode::none},
                                             {25, Protocol::smtp, TlsMode::starttls},
                                             {110, Protocol::pop3, TlsMode::starttls},
                                             {143, Protocol::imap, TlsMode::starttls},
                                             {465, Protocol::submission, TlsMode::implicit},
                                             {587, Protocol::submission, TlsMode::starttls},
                                             {993, Protocol::imap, TlsMode::implicit},
                                             {995, Protocol::pop3, TlsMode::implicit}}};

}  // namespace

std::string_view to_string(Protocol protocol) {
    return protocol_words.at(static_cast<std::size_t>(protocol));
}
std::string_view to_string(TlsMode mode) {
    return tls_words.at(static_cast<std::size_t>(mode));
}
std::string_view to_string(Severity severity) {
    return severity_words.at(static_cast<std::size_t>(severity));
}
std::optional<Protocol> protocol_of(std::string_view word) {
    return word_in<Protocol>(protocol_words, word);
}
std::optional<TlsMode> tls_mode_of(std::string_view word) {
    return word_in<TlsMode>(tls_words, word);
}

std::optional<PortUse> usual_use(std::uint16_t port) {
    const auto use = std::ranges::find(usual_uses, port, &PortUse::port);
    if (use == usual_uses.end()) return std::nullopt;
    return *use;
}

std::string Target::text() const {
    const bool brackets = host.find(':') != std::string::npos;
    return fmt::format("{}{}{}:{}", brackets ? "[" : "", host, brackets ? "]" : "", port);
}

std::optional<Severity> Probe::worst() const {
    return worst_of(findings);
}
std::optional<Severity> Canary::worst() const {
    return worst_of(findings);
}

}  // namespace pier::watch
