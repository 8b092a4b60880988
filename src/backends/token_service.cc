#include "backends/token_service.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "auth/introspection.h"
#include "auth/jwk.h"
#include "auth/password.h"
#include "net/https.h"
#include "wire/base64.h"

namespace pier::backends {
namespace {

constexpr std::size_t secret_octets_max = 4096;

Result<std::string> read_file(const std::string& path, std::size_t octets_max) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return Error{ErrorKind::io, fmt::format("can't read {}: {}", path, std::strerror(errno))};
    std::string text(octets_max + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (text.size() > octets_max) return Error{ErrorKind::io, fmt::format("{} is too large", path)};
    return text;
}

// application/x-www-form-urlencoded (RFC 6749 appendix B)
std::string form_encoded(std::string_view text) {
    std::string out;
    out.reserve(3 * text.size());  // so that no copy is left behind while it grows
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '-' || c == '.' || c == '_' || c == '~';
        if (plain)
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

class TokenService : public Service {
  public:
    explicit TokenService(TokenIssuerSettings settings) : settings_(std::move(settings)) {}

    Message answer(const Message& request) override {
        if (request.word == "keys") return reply("keys", keys());
        if (request.word == "introspect") return reply("answer", introspect(request.fields.get("token")));
        return outage_message("it does not know what it was asked");
    }

  private:
    static Message reply(std::string word, const Result<std::string>& text) {
        if (!text) return outage_message(text.error().text);
        Message message{0, std::move(word), {}};
        message.fields.add("text", *text);
        return message;
    }

    Result<std::string> keys() const {
        if (!settings_.jwks_file.empty()) return read_file(settings_.jwks_file, auth::jwks_octets_max);
        net::HttpsRequest request;
        request.url = settings_.jwks_url;
        request.octets_max = auth::jwks_octets_max;
        return ask(request);
    }

    // RFC 7662 §2.1
    Result<std::string> introspect(std::string_view token) const {
        net::HttpsRequest request;
        request.method = "POST";
        request.url = settings_.introspection_url;
        request.octets_max = auth::introspection_octets_max;
        request.fields.push_back({"Content-Type", "application/x-www-form-urlencoded"});
        if (!settings_.client_id.empty()) {
            auto credentials = this->credentials();
            if (!credentials) return credentials.error();
            request.fields.push_back({"Authorization", std::move(*credentials)});
        }
        std::string encoded = form_encoded(token);
        request.body = "token=" + encoded + "&token_type_hint=access_token";
        auto text = ask(request);
        auth::wipe(encoded);
        auth::wipe(request.body);
        for (net::HttpsField& field : request.fields)
            auth::wipe(field.value);
        return text;
    }

    // RFC 6749 §2.3.1
    Result<std::string> credentials() const {
        auto secret = read_file(settings_.client_secret_file, secret_octets_max);
        if (!secret) return secret.error();
        while (!secret->empty() && (secret->back() == '\n' || secret->back() == '\r'))
            secret->pop_back();
        std::string encoded = form_encoded(*secret);
        std::string pair = form_encoded(settings_.client_id) + ":" + encoded;
        std::string text = "Basic " + wire::base64_encode(pair);
        auth::wipe(*secret);
        auth::wipe(encoded);
        auth::wipe(pair);
        return text;
    }

    Result<std::string> ask(net::HttpsRequest& request) const {
        request.fields.push_back({"Accept", "application/json"});
        request.ca_file = settings_.ca_file;
        // The server waits no longer than `timeout`.
        request.time_max = settings_.timeout - std::chrono::milliseconds(200);
        auto reply = net::https_call(request);
        if (!reply) return reply.error();
        if (reply->status == 401 || reply->status == 403)
            return Error{ErrorKind::io, fmt::format("the issuer refuses to answer (status {}); look at "
                                                    "oauth.client_id and its secret",
                                                    reply->status)};
        if (reply->status != 200)
            return Error{ErrorKind::io,
                         fmt::format("the issuer's web server answers with status {}", reply->status)};
        return std::move(reply->body);
    }

    const TokenIssuerSettings settings_;
};

}  // namespace

MakeService token_service(const TokenIssuerSettings& settings) {
    return [settings] { return std::make_unique<TokenService>(settings); };
}

int run_token_issuer(const TokenIssuerSettings& settings, int fd) {
    return run_worker(
        fd, {.name = "oauth", .threads = 4, .waiting_max = settings.waiting_max, .timeout = settings.timeout},
        token_service(settings));
}

IssuerInProcess::IssuerInProcess(const TokenIssuerSettings& settings, int fd)
    : channel_("oauth", fd, {settings.timeout, settings.waiting_max}) {}

void IssuerInProcess::ask(Message request, Done done) {
    channel_.ask(std::move(request), [done = std::move(done)](const Result<Message>& reply) {
        if (!reply) return done(reply.error());
        if (reply->word == "outage")
            return done(Error{ErrorKind::busy, std::string(reply->fields.get("text"))});
        done(std::string(reply->fields.get("text")));
    });
}

void IssuerInProcess::fetch_keys(Done done) {
    ask({0, "keys", {}}, std::move(done));
}

void IssuerInProcess::introspect(std::string_view token, Done done) {
    ask({0, "introspect", {{"token", token}}}, std::move(done));
}

}  // namespace pier::backends
