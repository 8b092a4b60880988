// The queue's part of a running server.
#include <algorithm>

#include <boost/asio/post.hpp>

#include "delivery/routing.h"
#include "main/config_queue.h"
#include "main/queue_methods.h"
#include "main/running.h"
#include "queue/smtp_transport.h"

namespace pier::program {
namespace {

// What a reply to a notice means for the queue.
Result<void> result_of(const std::vector<smtp::Reply>& replies) {
    for (const smtp::Reply& reply : replies) {
        if (reply.positive()) continue;
        const ErrorKind kind = reply.code < 500 ? ErrorKind::busy : ErrorKind::not_found;
        return Error{kind, reply.enhanced + ' ' + reply.text};
    }
    return {};
}

// Where this server takes mail itself: what leads there would come back.
std::vector<net::Endpoint> mail_endpoints(const Config& config) {
    std::vector<net::Endpoint> all;
    for (const ListenerConfig& listener : config.listeners) {
        if (listener.protocol != Protocol::smtp || !listener.path.empty()) continue;
        const char* address = listener.address == "*" ? "::" : listener.address.c_str();
        all.push_back({boost::asio::ip::make_address(address), listener.port, ""});
    }
    return all;
}

}  // namespace

Result<void> Running::open_queue() {
    if (!config_.queue.enabled) return {};
    auto resolver = dns::Resolver::make(resolver_settings(config_));
    if (!resolver) return resolver.error();
    resolver_ = std::move(*resolver);
    queue::TransportSettings settings = transport_settings(config_);
    settings.listeners = mail_endpoints(config_);
    auto transport = queue::SmtpTransport::make(std::move(settings), *resolver_);
    if (!transport) return transport.error();
    transport_ = std::move(*transport);
    queue_ = std::make_unique<queue::MailQueue>(*store_, queue_settings(config_), system_now);
    if (auto opened = queue_->open(); !opened) return opened;
    delivery_->use_queue(queue_.get());
    return {};
}

void Running::start() {
    if (queue_)
        queue_->start(
            std::move(transport_),
            {[this](const smtp::Address& address) {
                 return address.domain.empty() || directory_->has_domain(address.domain);
             },
             [this](smtp::Envelope envelope, std::unique_ptr<store::Spool> octets, store::Done<void> done) {
                 deliver_notice(std::move(envelope), std::move(octets), std::move(done));
             }});
    server_->start();
    record_start();
    start_alerts();
    if (watcher_) watcher_->start();
}

// Its recipient may have forwarded his mail, and may himself be somebody elsewhere, whose mail was forwarded
// (delivery/srs.h).
void Running::deliver_notice(smtp::Envelope envelope, std::unique_ptr<store::Spool> octets,
                             store::Done<void> done) {
    const smtp::Envelope::Recipient recipient = envelope.recipients.at(0);
    delivery::Resolved resolved = delivery_->resolve(recipient.address);
    if (!resolved.reply.positive()) return done(result_of({resolved.reply}));
    delivery::Envelope local;
    local.with = "local";
    local.recipient = recipient.address.text();
    local.all_or_none = true;
    local.utf8 = envelope.utf8;
    local.body_8bit = envelope.body_8bit;
    delivery::Routing routing;
    delivery_->route(recipient, std::move(resolved), local, routing);
    delivery_->deliver(
        local, routing.take_accounts(), std::move(octets),
        [done = std::move(done)](const std::vector<smtp::Reply>& replies) { done(result_of(replies)); });
}

// It waits for the disk: not on this thread, and one at a time.
void Running::tick_queue() {
    if (!queue_ || queue_ticking_.exchange(true)) return;
    boost::asio::post(*disk_pool_, [this] {
        queue_->tick();
        queue_ticking_ = false;
    });
}

void Running::describe_queue(boost::json::object& status) const {
    if (!queue_) return;
    const auto counts = queue_->counts();
    status["queue"] = describe(counts);
    auto& limits = status["limits"].as_object();
    limits["queue.messages_max"] = {
        {"limit", config_.queue.messages_max}, {"now", counts.messages}, {"reached", counts.refused}};
    limits["queue.connections_max"] = {{"limit", config_.queue.connections_max}, {"now", counts.connections}};
}

}  // namespace pier::program
