// Webhooks and Alertmanager. A URL's path and query are often its secret, and receivers like to repeat them:
// so errors have its host and port, and nothing of what was answered but the status.
#include <algorithm>
#include <utility>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <fmt/format.h>

#include "auth/password.h"
#include "backends/secret_file.h"
#include "main/alert_sender.h"
#include "net/https.h"
#include "queue/server_session.h"
#include "watch/host_lookup.h"

namespace pier::program {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t answer_octets_max = 256 << 10;

// That this notice cannot be used, not that something is wrong with the receiver.
bool is_of_this_notice(unsigned status) {
    constexpr unsigned of_the_body[] = {400, 413, 415, 422};  // RFC 9110 §15.5
    return std::ranges::find(of_the_body, status) != std::end(of_the_body);
}

struct Receiver {
    bool tls = true;
    std::string host;   // without the brackets of an IPv6 address
    std::string shown;  // "https://host:port"
};

Result<Receiver> parse_receiver(const std::string& text) {
    const auto wrong = [](std::string_view why) {
        return Error(ErrorKind::invalid, fmt::format("its url cannot be used: {}", why));
    };
    const auto url = boost::urls::parse_uri(text);
    if (!url) return wrong("write https://host/path");
    Receiver receiver;
    receiver.tls = url->scheme_id() == boost::urls::scheme::https;
    if (!receiver.tls && url->scheme_id() != boost::urls::scheme::http)
        return wrong("it must begin with https:// or http://");
    if (url->has_userinfo()) return wrong("it may hold no user name or password");
    receiver.host = url->host_address();
    if (receiver.host.empty()) return wrong("it names no host");
    receiver.shown =
        fmt::format("{}://{}", receiver.tls ? "https" : "http", std::string(url->encoded_host()));
    if (url->has_port()) receiver.shown += ":" + std::string(url->port());
    return receiver;
}

class WebSender final : public AlertSender {
  public:
    WebSender(const AlertChannelConfig& config, const SenderFacts& facts, Receiver receiver,
              queue::ClientTls tls, std::string secret)
        : config_(config),
          facts_(facts),
          receiver_(std::move(receiver)),
          tls_(std::move(tls)),
          secret_(std::move(secret)) {}
    ~WebSender() override { auth::wipe(secret_); }

    Attempt send(const Shipment& shipment) const override {
        const auto end = steady_clock::now() + config_.timeout;
        auto addresses = watch::resolve(receiver_.host, config_.timeout, facts_.stop_fd);
        if (!addresses) return {Attempt::End::later, addresses.error().text};
        net::HttpsRequest ask = request(shipment);
        ask.addresses = std::move(*addresses);
        ask.time_max = std::max(std::chrono::ceil<milliseconds>(end - steady_clock::now()), milliseconds(1));
        const auto reply = net::https_call(ask);
        if (!reply) return {Attempt::End::later, reply.error().text};
        if (reply->status >= 200 && reply->status < 300) return {};
        return {is_of_this_notice(reply->status) ? Attempt::End::never : Attempt::End::later,
                fmt::format("{} answered {}{}", receiver_.shown, reply->status,
                            reply->status / 100 == 3 ? ": it is elsewhere; set its url to where it is" : "")};
    }

  private:
    net::HttpsRequest request(const Shipment& shipment) const {
        net::HttpsRequest ask;
        ask.method = "POST";
        ask.url = config_.url;
        ask.clear_allowed = true;  // who writes http:// means it
        ask.octets_max = answer_octets_max;
        ask.authorities = tls_ ? SSL_CTX_get_cert_store(tls_.get()) : nullptr;
        ask.ended = &facts_.stopping;
        ask.fields = {{"Content-Type", "application/json"}, {"User-Agent", "pier"}};
        if (config_.kind == ChannelKind::alertmanager) {
            ask.body = watch::notice_for_alertmanager(shipment.notice, facts_.server, shipment.at,
                                                      facts_.resolve_after);
            return ask;
        }
        ask.body = watch::notice_json(shipment.notice, facts_.server, shipment.at);
        // Of this try: receivers refuse what is old.
        const auto now = std::chrono::floor<std::chrono::seconds>(system_now());
        const std::string timestamp = std::to_string(now.time_since_epoch().count());
        ask.fields.push_back({"X-Pier-Id", shipment.id});
        ask.fields.push_back({"X-Pier-Timestamp", timestamp});
        if (!secret_.empty())
            ask.fields.push_back({"X-Pier-Signature", watch::notice_signature(secret_, timestamp, ask.body)});
        return ask;
    }

    const AlertChannelConfig config_;
    const SenderFacts& facts_;
    const Receiver receiver_;
    const queue::ClientTls tls_;  // for its authorities; null: http
    std::string secret_;
};

}  // namespace

MadeSender make_web_sender(const AlertChannelConfig& config, const SenderFacts& facts) {
    auto receiver = parse_receiver(config.url);
    if (!receiver) return receiver.error();
    queue::ClientTls tls;
    if (receiver->tls) {
        auto made = queue::make_client_tls(config.ca_file);
        if (!made) return made.error();
        tls = std::move(*made);
    }
    std::string secret;
    if (!config.secret_file.empty()) {
        auto read = backends::read_secret(config.secret_file, "secret_file");
        if (!read) return read.error();
        secret = std::move(*read);
    }
    return std::unique_ptr<AlertSender>(
        std::make_unique<WebSender>(config, facts, std::move(*receiver), std::move(tls), std::move(secret)));
}

}  // namespace pier::program
