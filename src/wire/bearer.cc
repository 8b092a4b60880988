#include "wire/bearer.h"

#include <algorithm>
#include <optional>

#include "wire/ascii.h"
#include "wire/sasl_limits.h"
#include "wire/scram.h"

namespace pier::wire {
namespace {

constexpr char separator = '\1';

Error malformed(std::string_view what) {
    return {ErrorKind::invalid, "malformed token message: " + std::string(what)};
}

bool is_letter(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

// RFC 7628 §3.1
bool is_value(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 0x20 && c <= 0x7E) || c == '\t' || c == '\r' || c == '\n';
    });
}

// RFC 6750 §2.1: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
bool is_token(std::string_view text) {
    text = text.substr(0, text.find_last_not_of('=') + 1);
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return is_letter(c) || (c >= '0' && c <= '9') ||
               std::string_view("-._~+/").find(c) != std::string_view::npos;
    });
}

// The token of "Bearer TOKEN"; empty if the value is.
std::optional<std::string> token_of(std::string_view value) {
    if (value.empty()) return std::string();
    if (!ascii_starts_with(value, "Bearer ")) return std::nullopt;
    value.remove_prefix(std::string_view("Bearer ").size());
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    if (value.empty()) return std::string();
    if (!is_token(value)) return std::nullopt;
    return std::string(value);
}

// What stands in front of the next separator, which is taken off too; absent if there is none.
std::optional<std::string_view> take(std::string_view& rest) {
    const std::size_t end = rest.find(separator);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return part;
}

// RFC 5801 §4: [nonstd] cb-flag "," [ "a=" authzid ] ","
Result<std::string> authzid_of(std::string_view header) {
    if (header.empty() || header.back() != ',') return malformed("the GS2 header");
    header.remove_suffix(1);
    const std::size_t comma = header.find(',');
    if (comma == std::string_view::npos) return malformed("the GS2 header");
    const std::string_view flag = header.substr(0, comma), authzid = header.substr(comma + 1);
    if (flag != "n" && flag != "y") return malformed("OAUTHBEARER has no channel binding");
    if (authzid.empty()) return std::string();
    auto name = authzid.substr(0, 2) == "a=" && authzid.find(',') == std::string_view::npos
                    ? decode_saslname(authzid.substr(2))
                    : std::nullopt;
    if (!name || name->empty()) return malformed("the authorization identity");
    return std::move(*name);
}

void add_member(std::string& json, std::string_view name, std::string_view value) {
    constexpr char digits[] = "0123456789abcdef";
    json.append(json.empty() ? "{\"" : ",\"").append(name).append("\":\"");
    for (const char c : value) {
        const auto octet = static_cast<unsigned char>(c);
        if (octet < 0x20)
            json.append("\\u00").append(1, digits[octet >> 4]).append(1, digits[octet & 15]);
        else if (c == '"' || c == '\\')
            json.append(1, '\\').append(1, c);
        else
            json += c;
    }
    json += '"';
}

}  // namespace

Result<BearerMessage> parse_bearer(BearerForm form, std::string_view message) {
    if (message.size() > sasl_message_octets_max) return malformed("too long");
    BearerMessage out;
    std::string_view rest = message;
    if (form == BearerForm::oauthbearer) {
        // The answer to an error, where none was told.
        if (rest == std::string_view(&separator, 1)) return malformed("there is nothing in it");
        const auto header = take(rest);
        if (!header) return malformed("the GS2 header");
        auto authzid = authzid_of(*header);
        if (!authzid) return authzid.error();
        out.authzid = std::move(*authzid);
    }
    std::optional<std::string> token;
    for (;;) {
        const auto pair = take(rest);
        if (!pair) return malformed("it breaks off");
        if (pair->empty()) break;  // the second separator in a row ends the message
        const std::string_view key = pair->substr(0, pair->find('='));
        if (key.empty() || key.size() == pair->size() || !std::all_of(key.begin(), key.end(), is_letter))
            return malformed("a key and its value");
        const std::string_view value = pair->substr(key.size() + 1);
        if (form == BearerForm::xoauth2 && ascii_equal(key, "user")) {
            if (value.empty() || !out.authzid.empty()) return malformed("the user name");
            out.authzid = value;
            continue;
        }
        if (!is_value(value)) return malformed("invalid characters");
        if (!ascii_equal(key, "auth")) continue;
        if (token) return malformed("two tokens");
        token = token_of(value);
        if (!token) return malformed("it takes auth=Bearer and a token");
    }
    if (!rest.empty()) return malformed("something follows its end");
    if (!token) return malformed("there is no auth=Bearer");
    if (form == BearerForm::xoauth2 && out.authzid.empty()) return malformed("there is no user");
    out.token = std::move(*token);
    return out;
}

std::string bearer_error(BearerForm form, const SaslTokenSource& source) {
    std::string json;
    if (form == BearerForm::oauthbearer) {
        add_member(json, "status", "invalid_token");
    } else {
        // As Google has it: the HTTP status that the token would have met.
        add_member(json, "status", "401");
        add_member(json, "schemes", "bearer");
    }
    if (!source.scope.empty()) add_member(json, "scope", source.scope);
    if (form == BearerForm::oauthbearer && !source.openid_configuration.empty())
        add_member(json, "openid-configuration", source.openid_configuration);
    return json + "}";
}

}  // namespace pier::wire
