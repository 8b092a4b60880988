#include "delivery/routing.h"

#include <algorithm>

#include "base/log.h"

namespace pier::delivery {
namespace {

void add_once(std::vector<queue::Outgoing>& all, queue::Outgoing one) {
    const auto same = [&](const queue::Outgoing& other) {
        return other.recipient.address == one.recipient.address && other.sender == one.sender &&
               other.delivered_here == one.delivered_here;
    };
    if (std::ranges::none_of(all, same)) all.push_back(std::move(one));
}

}  // namespace

void Delivery::route(const smtp::Envelope::Recipient& recipient, Resolved resolved, Envelope& envelope,
                     Routing& routing) const {
    Routing::Place place;
    place.elsewhere = !resolved.elsewhere.empty();
    // Nobody, any more: deliver() says so.
    if (!resolved.accounts.empty() || !place.elsewhere) {
        if (!resolved.accounts.empty()) ask_for_report(recipient, envelope);
        place.here = routing.accounts_.size();
        routing.accounts_.push_back(std::move(resolved.accounts));
    }
    for (smtp::Address& address : resolved.elsewhere) {
        queue::Outgoing outgoing;
        outgoing.recipient = recipient;
        outgoing.recipient.address = std::move(address);
        if (!resolved.bounce) outgoing.sender = forwarding_sender(envelope, recipient.address);
        add_once(envelope.outgoing, std::move(outgoing));
    }
    if (place.elsewhere && !resolved.bounce) routing.forwarding_.push_back(recipient.address);
    routing.places_.push_back(place);
}

// NOTIFY=SUCCESS: the queue writes the report, which is then on disk together with the message.
void Delivery::ask_for_report(smtp::Envelope::Recipient recipient, Envelope& envelope) const {
    if (!has_queue() || envelope.sender.empty() || (recipient.notify & smtp::notify::success) == 0) return;
    if (recipient.address.domain.empty()) recipient.address.domain = settings_.hostname;
    add_once(envelope.outgoing, {std::move(recipient), envelope.sender, true});
}

// The other server checks by SPF who may send for the sender's domain: we may for ours.
smtp::Address Delivery::forwarding_sender(const Envelope& envelope, const smtp::Address& recipient) const {
    const smtp::Address& sender = envelope.sender;
    if (sender.empty() || !envelope.account.empty() || directory_.has_domain(sender.domain)) return sender;
    std::string domain = settings_.srs_domain;
    if (domain.empty()) domain = recipient.domain.empty() ? settings_.hostname : recipient.domain;
    // One that would be too long stays: the mail may still arrive.
    return srs().rewrite(sender, domain, clock_()).value_or(sender);
}

std::vector<smtp::Reply> Routing::replies(const std::vector<smtp::Reply>& of_deliver) const {
    std::vector<smtp::Reply> out;
    for (const Place& place : places_) {
        smtp::Reply reply = place.here ? of_deliver.at(*place.here) : of_deliver.back();
        if (reply.positive() && place.elsewhere) reply = of_deliver.back();
        out.push_back(std::move(reply));
    }
    return out;
}

std::optional<smtp::Reply> Routing::loop_refusal(const IncomingHeader& header) const {
    for (const smtp::Address& address : forwarding_) {
        if (!header.was_delivered_to(address)) continue;
        log::warning("delivery.loop", {{"recipient", address.text()}});
        return smtp::Reply{554, "5.4.6", "the message has come back to an address that has forwarded it"};
    }
    return std::nullopt;
}

}  // namespace pier::delivery
