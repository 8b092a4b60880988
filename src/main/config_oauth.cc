#include "main/config_oauth.h"

#include <algorithm>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <fmt/format.h>

#include "main/config_fields.h"

namespace pier::program {
namespace {

constexpr std::size_t text_octets_max = 1024;

#define AT(member)                      \
    [](auto& c, std::size_t) -> auto& { \
        return c.member;                \
    }

bool is_web_address(const std::string& text) {
    const auto url = boost::urls::parse_uri(text);
    return url && !url->host().empty() && !url->has_userinfo() &&
           (url->scheme_id() == boost::urls::scheme::https || url->scheme_id() == boost::urls::scheme::http);
}

void check_urls(Loaded& loaded) {
    const OauthConfig& oauth = loaded.config.oauth;
    const std::pair<const char*, const std::string&> urls[] = {
        {"jwks_url", oauth.jwks_url},
        {"introspection_url", oauth.introspection_url},
        {"openid_configuration", oauth.openid_configuration}};
    for (const auto& [key, url] : urls)
        if (!url.empty() && !is_web_address(url))
            loaded.add(Severity::error, loaded.place("oauth", key),
                       fmt::format("oauth.{} is no web address; write https://host/path", key));
}

}  // namespace

Section oauth_section() {
    return {
        .name = "oauth",
        .help =
            "The issuer whose tokens are taken for passwords (OAUTHBEARER, XOAUTH2). Without a "
            "jwks_file, jwks_url or introspection_url none are. docs/tokens.md says more.",
        .fields = {
            text("issuer", Kind::text, AT(oauth.issuer), text_octets_max,
                 "What a token's \"iss\" must be, octet for octet."),
            text("audience", Kind::text, AT(oauth.audience), text_octets_max,
                 "What a token's \"aud\" must hold: one word, or several with spaces between, of which one "
                 "is enough. Else a token that any other service was given would open a mailbox here."),
            text("jwks_url", Kind::text, AT(oauth.jwks_url), text_octets_max,
                 "Where the issuer's public keys are (RFC 7517): tokens are JSON Web Tokens, and checked "
                 "here."),
            text("jwks_file", Kind::path, AT(oauth.jwks_file), path_octets_max,
                 "The same in a file, which is read again after cache_time."),
            text("introspection_url", Kind::text, AT(oauth.introspection_url), text_octets_max,
                 "Where the issuer is asked about each token (RFC 7662), whatever it looks like."),
            text("client_id", Kind::text, AT(oauth.client_id), text_octets_max,
                 "This server's name at introspection_url. Empty: it wants none."),
            text("client_secret_file", Kind::path, AT(oauth.client_secret_file), path_octets_max,
                 "A file that holds the secret of client_id, and nothing else."),
            text("claim", Kind::text, AT(oauth.claim), 255,
                 "Which of a token's claims names the account. Empty: \"email\" with keys, \"username\" "
                 "with introspection_url. Only one that users cannot choose for themselves."),
            text("scope", Kind::text, AT(oauth.scope), 255,
                 "A scope that tokens must have; clients are told it when theirs is refused. Empty: none."),
            text("openid_configuration", Kind::text, AT(oauth.openid_configuration), text_octets_max,
                 "The address of the issuer's metadata, which clients are told when their token is "
                 "refused. Empty: they are not."),
            text("ca_file", Kind::path, AT(oauth.ca_file), path_octets_max,
                 "A PEM file: the authorities that may sign the issuer's certificate. Empty: the system's."),
            duration("leeway", AT(oauth.leeway), {0, 10 * minute},
                     "By how much the issuer's clock may differ from this machine's."),
            duration("cache_time", AT(oauth.cache_time), {0, day},
                     "How long keys, and what the issuer has said of a token, are taken for true without "
                     "asking again."),
            count("cached_max", AT(oauth.cached_max), {0, 10'000'000},
                  "Tokens of which the issuer's answer is kept, about 200 octets each."),
            duration("timeout", AT(oauth.timeout), {1, 50},
                     "An answer of the issuer that takes longer is an outage: the client is told to come "
                     "back."),
        }};
}

void check_oauth(Loaded& loaded) {
    const OauthConfig& oauth = loaded.config.oauth;
    const auto error = [&](std::string_view key, std::string text) {
        loaded.add(Severity::error, loaded.place("oauth", key), std::move(text));
    };
    const auto fields = oauth_section().fields;
    // What is the default, as `pier config show` writes it, wants nothing.
    const bool any = std::any_of(fields.begin(), fields.end(), [&](const Field& field) {
        return field.get(loaded.config, 0) != field.get(Config{}, 0);
    });
    if (!oauth.configured()) {
        if (any)
            loaded.add(Severity::warning, loaded.place("oauth", ""),
                       "no tokens are taken: name jwks_url, jwks_file or introspection_url in [oauth]");
        return;
    }
    const int ways = !oauth.jwks_url.empty() + !oauth.jwks_file.empty() + !oauth.introspection_url.empty();
    if (ways > 1)
        error(!oauth.introspection_url.empty() ? "introspection_url" : "jwks_file",
              "tokens are checked in one way: leave one of oauth.jwks_url, jwks_file and introspection_url");
    check_urls(loaded);
    if (oauth.issuer.empty() && oauth.introspection_url.empty())
        error("issuer", "oauth.issuer is missing: write what \"iss\" is in the issuer's tokens");
    if (oauth.audience.find_first_not_of(' ') == std::string::npos && oauth.introspection_url.empty())
        error("audience",
              "oauth.audience is missing: write what \"aud\" is in tokens that are meant for this server");
    if (oauth.client_id.empty() != oauth.client_secret_file.empty())
        error("client_id", "oauth.client_id and client_secret_file belong together; name both, or none");
    if (oauth.scope.find(' ') != std::string::npos)
        error("scope", "oauth.scope is one scope, without spaces");
}

auth::TokenSettings token_settings(const OauthConfig& oauth) {
    auth::TokenSettings settings;
    const bool asks = !oauth.introspection_url.empty();
    settings.by = asks ? auth::TokenSettings::By::introspection : auth::TokenSettings::By::keys;
    settings.rules.issuer = oauth.issuer;
    std::string_view rest = oauth.audience;
    while (!rest.empty()) {
        const std::string_view word = rest.substr(0, rest.find(' '));
        if (!word.empty()) settings.rules.audiences.emplace_back(word);
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    }
    settings.rules.claim = !oauth.claim.empty() ? oauth.claim : asks ? "username" : "email";
    settings.rules.scope = oauth.scope;
    settings.rules.leeway = oauth.leeway;
    settings.cache_time = oauth.cache_time;
    settings.cached_max = oauth.cached_max;
    return settings;
}

backends::TokenIssuerSettings issuer_settings(const OauthConfig& oauth) {
    return {.jwks_file = oauth.jwks_file,
            .jwks_url = oauth.jwks_url,
            .introspection_url = oauth.introspection_url,
            .client_id = oauth.client_id,
            .client_secret_file = oauth.client_secret_file,
            .ca_file = oauth.ca_file,
            .timeout = oauth.timeout};
}

}  // namespace pier::program
