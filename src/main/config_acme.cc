#include "main/config_acme.h"

#include <array>

#include <fmt/format.h>

#include "main/config_fields.h"

namespace pier::program {
namespace {

using namespace std::string_view_literals;

constexpr std::array challenge_words{"http-01"sv, "tls-alpn-01"sv};
constexpr std::size_t url_octets_max = 2000;
constexpr std::size_t acme_domains_max = 100;

#define AT(member)                      \
    [](auto& c, std::size_t) -> auto& { \
        return c.member;                \
    }

bool is_host_name(std::string_view name) {
    if (name.empty() || name.size() > 253 || name.find('.') == name.npos) return false;
    std::size_t label = 0;
    for (const char c : name) {
        const bool sign = c == '.' || c == '-';
        if (!sign && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9')) return false;
        if (c == '.' && label == 0) return false;
        label = c == '.' ? 0 : label + 1;
        if (label > 63) return false;
    }
    return label > 0;
}

// What belongs to the section, once ACME is asked for.
void check_acme_values(Loaded& loaded) {
    const AcmeConfig& acme = loaded.config.acme;
    const auto error = [&](std::string_view key, std::string text) {
        loaded.add(Severity::error, loaded.place("acme", key), std::move(text));
    };
    for (const std::string& name : acme.domains)
        if (!is_host_name(name))
            error("domains",
                  fmt::format("\"{}\" is no name that a certificate can be got for; write names like "
                              "mail.example.org, in lower case, without a star",
                              name));
    if (!acme.directory.starts_with("https://"))
        error("directory", "acme.directory is the https:// address of an authority's directory");
    if (!acme.terms_agreed)
        error("terms_agreed",
              "the authority gives a certificate only to who agrees to its terms of service; read "
              "them, then write acme.terms_agreed = true");
    if (!acme.contact.empty() && acme.contact.find('@') == std::string::npos)
        error("contact", "acme.contact is an address of mail, as in postmaster@example.org");
    if (acme.eab_kid.empty() != acme.eab_key_file.empty())
        error(acme.eab_kid.empty() ? "eab_key_file" : "eab_kid",
              "acme.eab_kid and acme.eab_key_file have a meaning only together; name both");
    if (loaded.config.tls.configured())
        loaded.add(
            Severity::error, loaded.place("tls", "certificate"),
            "tls.certificate has no place beside [acme], which gets the certificate itself; take one of them "
            "out, or name this one in [[certificate]]");
}

}  // namespace

Section acme_section() {
    return {
        .name = "acme",
        .help =
            "A certificate that Pier gets and renews itself (ACME, RFC 8555), in place of that of [tls]. "
            "docs/tls.md says what it takes.",
        .fields = {
            names(
                "domains", AT(acme.domains), acme_domains_max,
                "The names that the certificate is for, as in [\"mail.example.org\"]; each must lead to this "
                "machine. Empty: no ACME."),
            text("directory", Kind::text, AT(acme.directory), url_octets_max, "The authority's directory."),
            flag("terms_agreed", AT(acme.terms_agreed),
                 "You agree to the authority's terms of service; it gives no certificate without."),
            text("contact", Kind::text, AT(acme.contact), 254,
                 "An address of mail that the authority may write to. Empty: none."),
            word("challenge", AT(acme.challenge), challenge_words,
                 "How the authority sees that the names lead here: http-01 asks a listener acme-http on port "
                 "80, "
                 "tls-alpn-01 a listener acme or pop3s on port 443."),
            text("ca_file", Kind::path, AT(acme.ca_file), path_octets_max,
                 "A PEM file with who vouches for the authority's web server. Empty: the system's."),
            text("eab_kid", Kind::text, AT(acme.eab_kid), 1000,
                 "The identifier of an account that the authority has given you otherwise (external account "
                 "binding). Empty: none."),
            text("eab_key_file", Kind::path, AT(acme.eab_key_file), path_octets_max,
                 "A file with that account's key, in base64url as the authority gives it."),
        }};
}

void check_acme(Loaded& loaded) {
    const Config& config = loaded.config;
    bool asked = false;
    for (std::size_t index = 0; index < config.listeners.size(); ++index) {
        const ListenerConfig& listener = config.listeners[index];
        const bool is_http = listener.protocol == Protocol::acme_http;
        if ((is_http || listener.protocol == Protocol::acme) && !config.acme.configured())
            loaded.add(
                Severity::error, loaded.listener_place(index, "protocol"),
                "there is no [acme] section with domains, so nobody asks here; write one, or take this "
                "listener out");
        asked = asked || (config.acme.challenge == AcmeChallenge::http_01
                              ? is_http
                              : listener.protocol == Protocol::acme || listener.tls == TlsUse::implicit);
    }
    if (!config.acme.configured()) return;
    check_acme_values(loaded);
    if (!asked)
        loaded.add(
            Severity::error, loaded.place("acme", "challenge"),
            config.acme.challenge == AcmeChallenge::http_01
                ? "the authority would ask on port 80, and no listener has protocol = \"acme-http\"; add one"
                : "the authority would ask on port 443, and no listener has protocol = \"acme\"; add one");
}

}  // namespace pier::program
